"""What the team writes in `hosts/<environment>.yml`: its schema, and how it is read."""
