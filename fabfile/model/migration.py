"""A migration as its file has it, and as the database remembers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Phase = Literal["expand", "contract"]
"""`expand` adds what the release that runs does not mind; `contract` takes away what no release needs any more."""


@dataclass(frozen=True)
class Migration:
    """A pair of SQL files. `name` is the file's without `.sql`, `checksum` the SHA-256 of its bytes in hex.

    With `pause` (seconds) its statement is repeated, each time in a transaction of its own, until it changes no row.
    `down` is None where nothing takes it back.
    """

    version: int
    name: str
    phase: Phase
    checksum: str
    sql: str
    down: str | None = None
    transactional: bool = True
    pause: float | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What makes it the same one in another release."""
        return self.version, self.checksum


@dataclass(frozen=True)
class Applied:
    """A row of the versions table: when (ISO 8601 UTC), for how long (seconds), from which release and by which run."""

    version: int
    name: str
    phase: Phase
    checksum: str
    at: str
    seconds: float
    release: str
    run: str
    down: str | None = None

    @property
    def key(self) -> tuple[int, str]:
        """What makes it the same one in a release."""
        return self.version, self.checksum


Known = frozenset[tuple[int, str]]
"""The migrations that a release holds: version and checksum of each."""
