"""A PostgreSQL server as it was found, and the physical backups that pgBackRest has of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DEBIAN = re.compile(r"/etc/postgresql/(?P<version>[0-9]+)/(?P<name>[A-Za-z0-9_.]+)/postgresql\.conf")
"""Where Debian's clusters have their configuration."""

Purpose = Literal["restore", "before", "verify", "dropped"]
"""What a directory beside a server's own is: a copy at another moment, the former server that an exchange kept, a copy
that is tried and goes again, and one that is being removed, of which nobody can tell how much is left."""
RUN = r"\d{8}T\d{6}-[0-9a-f]{4}"


@dataclass(frozen=True)
class Beside:
    """One such directory, and its bytes on disk."""

    purpose: Purpose
    run: str
    size: int


@dataclass(frozen=True)
class Place:
    """Where one of Debian's clusters is on its host, whether it runs or not."""

    version: int
    name: str
    port: int
    data_directory: str

    @property
    def unit(self) -> str:
        """Its systemd unit."""
        return f"postgresql@{self.version}-{self.name}"

    def beside(self, purpose: Purpose, run: str) -> str:
        """Where a run has a server's directory for this purpose."""
        return f"{self.data_directory}.{purpose}-{run}"


@dataclass(frozen=True)
class Archiver:
    """What became of the WAL: `waiting` segments are still to be archived, the last attempt of which may have failed.

    `seconds_behind` is the time since the oldest of them was ready, 0 where none waits.
    """

    mode: str
    command: str
    waiting: int
    seconds_behind: float
    failing: bool
    last_failed: str


@dataclass(frozen=True)
class Cluster:
    """One running server, primary and not in recovery; `timeline` is its own, `history` where it left earlier ones.

    `history` gives for each earlier timeline the LSN up to which it is this server's past. `size` is in bytes.
    """

    version: int
    data_directory: str
    config_file: str
    port: int
    timeline: int
    history: Mapping[int, int]
    databases: tuple[str, ...]
    size: int
    tablespaces: int
    archive_timeout: int
    now: datetime
    archiver: Archiver

    @property
    def folder(self) -> str:
        """Where the cluster's configuration lies."""
        return self.config_file.rpartition("/")[0]

    @property
    def place(self) -> Place | None:
        """Where it is, for a cluster that Debian's tools made; None for any other."""
        match = DEBIAN.fullmatch(self.config_file)
        return Place(int(match["version"]), match["name"], self.port, self.data_directory) if match else None


@dataclass(frozen=True)
class Base:
    """One physical backup. `number` is ours (None: taken by somebody else); sizes are in bytes, times in UTC.

    `sound` is False where pages had wrong checksums. `size` is that of the server, `stored` what this backup added.
    """

    label: str
    kind: str
    number: int | None
    sound: bool
    started_at: datetime
    stopped_at: datetime
    start_lsn: str
    stop_lsn: str
    timeline: int
    size: int
    stored: int


def lsn(text: str) -> int:
    """A position in the WAL, `0/3000028`, as a number of bytes. Raises ValueError for anything else."""
    if not re.fullmatch(r"[0-9A-Fa-f]{1,8}/[0-9A-Fa-f]{1,8}", text):
        raise ValueError(f"{text!r} is no position in the WAL")
    high, low = text.split("/")
    return (int(high, 16) << 32) + int(low, 16)
