"""Which backup a moment is reached from, when the next one is full, and when archiving is not well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import BadInput
from fabfile.model.cluster import Archiver, Base, Cluster, lsn
from fabfile.planning.point_in_time import archiving_problem, base_for, next_kind, parse_moment

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
WELL = Archiver("on", "pgbackrest archive-push %p", 0, 0.0, False, "")
CLUSTER = Cluster(15, "/data", "/etc/postgresql/15/main/postgresql.conf", 5432, 1, {}, ("app",), 1, 0, 900, NOW, WELL)


def base(hours: float, kind: str = "full", timeline: int = 1, stop_lsn: str = "0/100", sound: bool = True) -> Base:
    """A backup that ended so many hours ago."""
    ended = NOW - timedelta(hours=hours)
    return Base(f"{hours:07.2f}", kind, None, sound, ended, ended, "0/1", stop_lsn, timeline, 1, 1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21 03:00 UTC", datetime(2026, 11, 21, 3, tzinfo=UTC)),
        ("2026-11-21T03:00:07.25Z", datetime(2026, 11, 21, 3, 0, 7, 250000, tzinfo=UTC)),
        ("2026-11-21 03:00 +01:00", datetime(2026, 11, 21, 2, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_in_its_zone(text: str, expected: datetime) -> None:
    assert parse_moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-11-21 03:00", "2026-13-01 03:00 UTC", "2026-11-21 03:00 +25:99"]
)
def test_a_moment_that_two_people_may_read_differently_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no moment"):
        parse_moment(text, NOW)


def test_a_moment_to_come_is_refused() -> None:
    with pytest.raises(BadInput, match="still to come"):
        parse_moment("2026-11-21 12:00:01 UTC", NOW)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2026, 11, 21)), st.integers(-14 * 60, 14 * 60))
def test_every_moment_written_out_is_read_as_itself(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))
    assert parse_moment(moment.isoformat(sep=" "), NOW + timedelta(days=2)) == moment


def test_the_newest_sound_backup_before_the_moment_is_taken() -> None:
    bases = [base(9), base(5), base(3, sound=False), base(1)]
    assert base_for(bases, NOW - timedelta(hours=2), CLUSTER) == bases[1]


@given(st.lists(st.integers(1, 1000), min_size=1, unique=True), st.integers(0, 1000))
def test_a_chosen_backup_ended_before_the_moment_and_none_is_nearer(ages: list[int], hours: int) -> None:
    moment = NOW - timedelta(hours=hours)
    reachable = [age for age in ages if age > hours]
    if reachable:
        assert base_for([base(age) for age in ages], moment, CLUSTER) == base(min(reachable))
    else:
        with pytest.raises(BadInput, match="the first moment"):
            base_for([base(age) for age in ages], moment, CLUSTER)


def test_within_the_second_in_which_a_backup_ended_it_may_not_be_consistent_yet() -> None:
    with pytest.raises(BadInput, match="the first moment"):
        base_for([base(1)], base(1).stopped_at + timedelta(seconds=0.9), CLUSTER)


def test_a_backup_of_a_stretch_that_a_restore_took_away_is_not_used() -> None:
    restored = replace(CLUSTER, timeline=2, history={1: lsn("0/200")})
    before, lost, after = base(9), base(5, stop_lsn="0/300"), base(1, timeline=2)
    assert base_for([before, lost, after], NOW, restored) == after
    assert base_for([before, lost], NOW, restored) == before
    elsewhere = base(0.5, timeline=3)
    assert base_for([before, elsewhere], NOW, restored) == before


def test_without_a_backup_the_way_to_one_is_told() -> None:
    with pytest.raises(BadInput, match="no physical backup") as refused:
        base_for([base(1, sound=False)], NOW, CLUSTER)
    assert "inv backup" in refused.value.hint


def test_a_full_backup_is_due_when_the_last_sound_one_is_old_or_there_is_none() -> None:
    week = timedelta(days=7).total_seconds()
    assert next_kind([], NOW, week) == "full"
    assert next_kind([base(24 * 6), base(1, "diff")], NOW, week) == "diff"
    assert next_kind([base(24 * 7), base(1, "diff")], NOW, week) == "full"
    assert next_kind([base(24 * 8), base(1, sound=False)], NOW, week) == "full"


@pytest.mark.parametrize(
    ("archiver", "expected"),
    [
        (WELL, None),
        (replace(WELL, waiting=3, seconds_behind=1000), None),
        (replace(WELL, waiting=3, seconds_behind=1100), "behind: 3 WAL segments"),
        (
            replace(WELL, waiting=1, seconds_behind=2, failing=True, last_failed="2026-11-21T11:00:00Z"),
            "fails since 2026",
        ),
        (replace(WELL, mode="off", command="(disabled)"), "archive_mode is off"),
        (replace(WELL, command=""), "archive_command is empty"),
    ],
)
def test_archiving_that_is_off_failing_or_behind_is_told(archiver: Archiver, expected: str | None) -> None:
    problem = archiving_problem(archiver, 900)
    assert problem is None if expected is None else expected in (problem or "")
