"""What can be wrong with an environment: a file for each check, which says what it looks at, how bad it is, and what to type."""
