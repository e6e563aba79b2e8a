"""Turnout: blue/green deploys, backups and rollbacks for people who run their own VM hosts."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    """The tasks, for `fab`; built only when asked for, so that importing a part does not import every verb."""
    if name == "ns":
        from fabfile.namespace import namespace

        return namespace()
    raise AttributeError(name)
