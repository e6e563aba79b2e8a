"""What can be wrong with an environment: a file for each check, what it looks at, how bad that is, what to type."""
