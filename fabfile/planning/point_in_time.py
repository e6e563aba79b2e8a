"""Which physical backup a moment is reached from, when the next one is full, and whether archiving is well. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

from fabfile.errors import BadInput
from fabfile.model.cluster import Archiver, Base, Cluster, lsn
from fabfile.model.recovery_point import utc

MOMENT = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)[T ](?P<time>\d\d:\d\d(:\d\d(\.\d{1,6})?)?) ?(?P<zone>Z|UTC|[+-]\d\d:\d\d)"
)
FORMS = 'write --at="2026-11-21 03:00 UTC", or another zone as +01:00'
GRACE = 120.0
"""Seconds that a segment may wait beyond `archive_timeout` before archiving counts as behind."""


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment of `2026-11-21 03:00 UTC` (also `Z` or `+01:00`, with seconds and their fraction), in UTC.

    Raises BadInput for another form, a time without its zone, and a moment that is still to come.
    """
    match = MOMENT.fullmatch(text.strip())
    try:
        zone = "+00:00" if match and match["zone"] in ("Z", "UTC") else match["zone"] if match else ""
        moment = datetime.fromisoformat(f"{match['date']}T{match['time']}{zone}").astimezone(UTC) if match else None
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise BadInput(f"--at={text!r} is no moment", FORMS)
    if moment > now:
        raise BadInput(f"--at={text!r} is still to come: the database's host says {utc(now)}", FORMS)
    return moment


def base_for(bases: Iterable[Base], moment: datetime, cluster: Cluster) -> Base:
    """The newest sound backup from which the server's own past leads to `moment`. Raises BadInput where none does."""
    ours = [base for base in bases if base.sound and _is_past_of(cluster, base)]
    # The end is told in whole seconds, rounded down; before its end a backup is not consistent.
    reached = [base for base in ours if base.stopped_at + timedelta(seconds=1) <= moment]
    if reached:
        return max(reached, key=lambda base: (base.stopped_at, base.label))
    if not ours:
        raise BadInput("there is no physical backup to start from", "take one: inv backup")
    first = min(base.stopped_at for base in ours) + timedelta(seconds=1)
    raise BadInput(
        f"the first moment that can be reached is {utc(first)}, not {utc(moment)}",
        "choose a later one, or a dump: inv backup.list",
    )


def next_kind(bases: Iterable[Base], now: datetime, full_every: float) -> Literal["full", "diff"]:
    """`full` when the newest sound full backup is older than `full_every` seconds, or there is none."""
    fulls = [base.started_at for base in bases if base.kind == "full" and base.sound]
    return "diff" if fulls and now - max(fulls) < timedelta(seconds=full_every) else "full"


def archiving_problem(archiver: Archiver, archive_timeout: float) -> str | None:
    """What is wrong with archiving, in a sentence; None when moments up to now minus `archive_timeout` are safe."""
    if archiver.mode == "off":
        return "WAL is not archived: archive_mode is off"
    if not archiver.command:
        return "WAL is not archived: archive_command is empty"
    waiting = f"{archiver.waiting} WAL segments wait, the oldest for {archiver.seconds_behind:.0f} s"
    if archiver.failing:
        return f"archiving WAL fails since {archiver.last_failed}: {waiting}"
    if archiver.seconds_behind > archive_timeout + GRACE:
        return f"archiving WAL is behind: {waiting}"
    return None


def _is_past_of(cluster: Cluster, base: Base) -> bool:
    if base.timeline == cluster.timeline:
        return True
    left_at = cluster.history.get(base.timeline)
    return left_at is not None and lsn(base.stop_lsn) <= left_at
