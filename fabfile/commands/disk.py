"""How much room a disk has."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.script import Script

HEADROOM = 64 << 20
"""Bytes that stay free on a disk after something was written to it."""

FREE = r"""
df -B1 --output=avail "$path" 2> /dev/null | tail -n 1 || true
"""


def free(path: str) -> Script:
    """Print the free bytes where `path` is, or nothing where that cannot be seen."""
    return Script(bind(FREE, path=path), timeout=30)


def parse_free(stdout: str) -> int | None:
    """Bytes, from what `free` printed."""
    return int(stdout) if stdout.strip().isdigit() else None
