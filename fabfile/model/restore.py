"""What a restore exchanges, and the names under which it keeps what was there before."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

LONGEST = 63
"""Bytes of a name in PostgreSQL, which cuts longer ones silently."""


@dataclass(frozen=True)
class Restore:
    """Which of them are exchanged, and for what: the backup with the number `point`, the moment `at` (ISO 8601), or
    what the restore of the run `undoes` kept. `server` is the whole one, `database` the application's own on it.

    With `smoke` the release is tried out on the restored database before users are sent away.
    """

    database: bool
    files: bool
    point: int | None = None
    undoes: str = ""
    smoke: bool = False
    server: bool = False
    at: str = ""

    @property
    def sentence(self) -> str:
        """What it is called, such as `rollback to backup 7`."""
        if self.at:
            return f"rollback to {self.at}"
        return f"rollback to backup {self.point}" if self.point is not None else f"undo of run {self.undoes}"


def beside_database(live: str, run: str) -> str:
    """The database that a restore fills before anybody sees it."""
    return _prefix(live, "restore") + _spelled(run)


def kept_database(live: str, run: str) -> str:
    """The former live database after a restore."""
    return _prefix(live, "before") + _spelled(run)


def kept_prefix(live: str) -> str:
    """How the names of all former databases of `live` begin."""
    return _prefix(live, "before")


def run_that_kept(live: str, name: str) -> str | None:
    """The run that kept `live` under this name; None for a database that no restore made."""
    match = re.fullmatch(r"(\d{8})t(\d{6})_([0-9a-f]{4})", name.removeprefix(kept_prefix(live)))
    found = f"{match[1]}T{match[2]}-{match[3]}" if match else None
    return found if found and kept_database(live, found) == name else None


def beside_files(run: str) -> str:
    """The shared directory that a restore fills before anybody sees it."""
    return f".shared.{run}"


def kept_files(run: str) -> str:
    """The former shared directory after a restore, beside the live one."""
    return f".shared.before-{run}"


def _spelled(run: str) -> str:
    return run.replace("-", "_").lower()


def _prefix(live: str, purpose: str) -> str:
    """A name that is too long is cut; what tells it from others that begin alike, and the run's id, must survive."""
    room = LONGEST - len(f"_{purpose}_20250131t030000_0a1b")
    if len(live) > room:
        live = f"{live[: room - 9]}_{hashlib.sha256(live.encode()).hexdigest()[:8]}"
    return f"{live}_{purpose}_"
