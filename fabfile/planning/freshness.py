"""Whether backups are as young as they have to be: the newest one, and the newest that was restored and compared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fabfile.model.recovery_point import RecoveryPoint

AHEAD = timedelta(minutes=5)
"""How far another machine's clock may be ahead; a backup that is further in the future counts for nothing."""


@dataclass(frozen=True)
class Freshness:
    """The verdict, its sentence, and of both backups the number and the age in seconds (None without one)."""

    stale: bool
    sentence: str
    newest: int | None
    newest_age: float | None
    verified: int | None
    verified_age: float | None


def judge(points: Iterable[RecoveryPoint], now: datetime, newest_limit: float, verified_limit: float) -> Freshness:
    """Compare ages with limits, both in seconds. Only full backups count: one of a part brings not everything back."""
    full = [point for point in points if point.kind == "full" and taken(point) <= now + AHEAD]
    newest = max(full, key=taken, default=None)
    verified = max((point for point in full if point.verified_at), key=taken, default=None)
    newest_age, verified_age = _age(newest, now), _age(verified, now)
    newest_stale = newest_age is None or newest_age > newest_limit
    verified_stale = verified_age is None or verified_age > verified_limit
    sentence = "; ".join(
        (
            _told("backup", newest, newest_age, newest_limit, newest_stale),
            _told("verified backup", verified, verified_age, verified_limit, verified_stale),
        )
    )
    return Freshness(
        newest_stale or verified_stale,
        sentence,
        newest.number if newest else None,
        newest_age,
        verified.number if verified else None,
        verified_age,
    )


def taken(point: RecoveryPoint) -> datetime:
    """When a backup was taken."""
    return datetime.fromisoformat(point.created_at)


def _age(point: RecoveryPoint | None, now: datetime) -> float | None:
    return None if point is None else max(0.0, (now - taken(point)).total_seconds())


def _told(what: str, point: RecoveryPoint | None, age: float | None, limit: float, stale: bool) -> str:
    if point is None or age is None:
        return f"there is no {what}"
    verdict = "TOO OLD: the limit is" if stale else "the limit is"
    return f"the newest {what}, {point.number}, is {_hours(age)} old, {verdict} {_hours(limit)}"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"
