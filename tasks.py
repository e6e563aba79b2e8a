"""What `inv` loads: the names of all tasks."""

from fabfile.namespace import namespace

ns = namespace()
