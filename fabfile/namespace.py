"""All tasks by the names that are typed."""

from __future__ import annotations

from invoke.collection import Collection

from fabfile import backup as backups
from fabfile import build, deploy, hosts, lock, maintenance, rollback, status
from fabfile.lab import tasks as lab


def namespace() -> Collection:
    """The root collection. Order is alphabetical in `inv --list`, whatever is done here."""
    root = Collection()
    for task in (build.build, deploy.plan, deploy.deploy, rollback.rollback, status.status, status.releases):
        root.add_task(task)
    for name, module in (
        ("backup", backups),
        ("hosts", hosts),
        ("lab", lab),
        ("lock", lock),
        ("maintenance", maintenance),
    ):
        root.add_collection(Collection.from_module(module, name=name))
    return root
