"""Whether backups are young enough: both limits, and what does not count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.recovery_point import FORMAT, Kind, RecoveryPoint, utc
from fabfile.planning.freshness import judge

NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
HOUR = 3600.0


def point(number: int, hours: float, verified: bool = False, kind: Kind = "full") -> RecoveryPoint:
    """A backup of so many hours ago."""
    return RecoveryPoint(
        format=FORMAT,
        number=number,
        app="shop",
        environment="demo",
        kind=kind,
        reason="scheduled",
        created_at=utc(NOW - timedelta(hours=hours)),
        release=None,
        release_digest=None,
        run="r",
        seconds=1.0,
        objects=(),
        verified_at=utc(NOW) if verified else None,
    )


def stale(*points: RecoveryPoint) -> bool:
    return judge(points, NOW, 12 * HOUR, 26 * HOUR).stale


def test_young_backups_are_well_and_said_so_in_one_sentence() -> None:
    found = judge([point(8, 1.5), point(7, 7), point(6, 13, verified=True)], NOW, 12 * HOUR, 26 * HOUR)
    assert not found.stale
    assert found.sentence == (
        "the newest backup, 8, is 1.5 h old, the limit is 12.0 h; "
        "the newest verified backup, 6, is 13.0 h old, the limit is 26.0 h"
    )
    assert (found.newest, found.newest_age, found.verified, found.verified_age) == (8, 5400.0, 6, 46800.0)


def test_none_at_all_is_too_old() -> None:
    found = judge([], NOW, 12 * HOUR, 26 * HOUR)
    assert found.stale
    assert found.sentence == "there is no backup; there is no verified backup"
    assert found.newest is None


def test_each_limit_counts_by_itself_and_the_sentence_says_which() -> None:
    both = (point(2, 1, verified=True),)
    assert not stale(*both)
    assert stale(point(2, 12.1, verified=True))
    assert stale(point(3, 1), point(2, 26.1, verified=True))
    assert stale(point(3, 1))
    sentence = judge([point(3, 13, verified=True)], NOW, 12 * HOUR, 26 * HOUR).sentence
    assert sentence.count("TOO OLD") == 1
    assert sentence.index("TOO OLD") < sentence.index("verified")


@pytest.mark.parametrize("kind", [kind for kind in get_args(Kind) if kind != "full"])
def test_a_backup_of_a_part_does_not_count(kind: Kind) -> None:
    assert stale(point(3, 1, verified=True, kind=kind))


def test_a_backup_from_the_future_does_not_silence_the_alarm() -> None:
    assert stale(point(9, -48, verified=True), point(2, 48, verified=True))
    assert not stale(point(9, -0.05, verified=True))


@given(st.lists(st.tuples(st.floats(-1, 100), st.booleans()), max_size=8), st.floats(0, 100))
def test_growing_older_never_makes_anything_fresh(ages: list[tuple[float, bool]], later: float) -> None:
    points = [point(number, age, verified) for number, (age, verified) in enumerate(ages, 1) if age >= 0]
    now = judge(points, NOW, 12 * HOUR, 26 * HOUR)
    then = judge(points, NOW + timedelta(hours=later), 12 * HOUR, 26 * HOUR)
    assert then.stale or not now.stale
    assert now.newest_age is None or now.verified_age is None or now.newest_age <= now.verified_age
