"""Which process holds a lease, told so that another one on the same machine can see whether it still lives."""

from __future__ import annotations

import os
from pathlib import Path


def mine() -> str:
    """This process: the machine's boot, the namespace of process ids, the id and its start; empty without /proc."""
    return _identity(os.getpid())


def died_here(identity: str) -> bool:
    """Whether `identity` was a process of this very boot and namespace that is gone; False where nobody can know."""
    parts = identity.split()
    here = _place()
    if len(parts) != 4 or not here or parts[:2] != here or not parts[2].isdigit():
        return False
    return _identity(int(parts[2])) != identity


def _place() -> list[str]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return [boot, str(Path("/proc/self/ns/pid").readlink())]
    except OSError:
        return []


def _identity(pid: int) -> str:
    try:
        # Field 22, counted from behind the name, which may hold anything.
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else " ".join([*_place(), str(pid), fields[18]])
