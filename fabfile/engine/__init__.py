"""How a plan is carried out: under a lease, journalled, and undone when a step fails."""
