"""All that the store holds of one environment: whole backups, damaged and unfinished ones, and release archives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fabfile.model.recovery_point import RecoveryPoint

ENDING = ".tar.zst"
"""With it ends the name of a release archive; what comes before is the release's id."""
PUSHED = f"{ENDING}.manifest"
"""With it ends the name of what `inv build` stores beside an archive: manifest and signature."""


@dataclass(frozen=True)
class Unlisted:
    """A number without a manifest: being written, given up, or half deleted. `keys` are its objects but for the claim,
    `size` their bytes, and `touched` is when anything of it was stored last, by the store's clock."""

    number: int
    keys: tuple[str, ...]
    size: int
    touched: datetime


@dataclass(frozen=True)
class Archive:
    """A release archive with what is known of it, in the order in which they are deleted; `size` in bytes, and `pushed`
    is when `inv build` stored it, by the store's clock: None where only backups have."""

    release: str
    keys: tuple[str, ...]
    size: int
    pushed: datetime | None = None


@dataclass(frozen=True)
class Holdings:
    """`points` are the whole backups, newest first; of the damaged ones, by number, as much as can be read.

    `expired` are those whose server pgBackRest has let go, as newer ones were taken.
    """

    points: tuple[RecoveryPoint, ...]
    damaged: Mapping[int, RecoveryPoint | None]
    unlisted: tuple[Unlisted, ...]
    archives: tuple[Archive, ...]
    expired: tuple[RecoveryPoint, ...] = ()


def release_of(key: str) -> str:
    """The release to which an object among the release archives belongs."""
    name = key.rpartition("/")[2]
    return name.partition(ENDING)[0] if ENDING in name else name.removesuffix(".json")
