"""Deploy windows on the clock on the wall: zones, hours that are skipped or come twice, leap days, freezes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.calendar import (
    DAYS,
    Calendar,
    Maintenance,
    Window,
    parse_freeze,
    parse_maintenance,
    parse_window,
)
from fabfile.planning.windows import due, freezes, judge, maintenance, occurrences, openings, reached

NEW_YORK, BERLIN = "America/New_York", "Europe/Berlin"
ZONES = [NEW_YORK, BERLIN, "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "UTC"]
"""Among them half an hour of DST, a day that was left out, changes at midnight, and none at all."""
HOUR = timedelta(hours=1)
moments = st.datetimes(datetime(2011, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
zones = st.sampled_from(ZONES)
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
texts = st.builds("{} {}-{} {}".format, st.sampled_from([*DAYS, "daily", "Sat-Mon"]), clocks, clocks, zones)
windows = texts.map(lambda text: parse_window(text, "UTC"))
frozen_days = st.builds(
    "{} {} - {} {} {}".format,
    st.integers(1, 28),
    st.sampled_from(["Feb", "Dec", "Mar"]),
    st.integers(1, 28),
    st.sampled_from(["Jan", "Mar", "Dec"]),
    zones,
).map(lambda text: parse_freeze(text, "UTC"))
calendars = st.builds(
    Calendar, st.lists(windows, max_size=3).map(tuple), st.lists(frozen_days, max_size=2).map(tuple), st.just(())
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def wall(moment: datetime, zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


def calendar(*windows: str, freezes: tuple[str, ...] = ()) -> Calendar:
    return Calendar(
        tuple(parse_window(text, "UTC") for text in windows), tuple(parse_freeze(text, "UTC") for text in freezes)
    )


def span(window: str, day: str) -> tuple[str, float] | None:
    """When the window of that day begins (UTC) and how many hours it lasts; None where it is left out."""
    after = at(f"{day}T00:00:00+00:00") - timedelta(hours=14)
    zone = window.split()[-1]
    for found in islice(occurrences(parse_window(window, "UTC"), after), 3):
        if wall(found.begin, zone).date() == date.fromisoformat(day):
            return f"{found.begin:%H:%M}", (found.end - found.begin) / HOUR
    return None


@pytest.mark.parametrize(
    ("window", "day", "expected"),
    [
        (f"Tue 10:00-12:00 {NEW_YORK}", "2026-11-24", ("15:00", 2.0)),
        (f"Tue 10:00-12:00 {NEW_YORK}", "2026-07-07", ("14:00", 2.0)),
        # 8 March 2026: 02:00 becomes 03:00.
        (f"Sun 02:00-03:00 {NEW_YORK}", "2026-03-08", None),
        (f"Sun 02:15-02:45 {NEW_YORK}", "2026-03-08", None),
        (f"Sun 02:30-03:30 {NEW_YORK}", "2026-03-08", ("07:00", 0.5)),
        (f"Sun 01:30-02:30 {NEW_YORK}", "2026-03-08", ("06:30", 0.5)),
        (f"Sun 01:00-04:00 {NEW_YORK}", "2026-03-08", ("06:00", 2.0)),
        (f"Sat 22:00-04:00 {NEW_YORK}", "2026-03-07", ("03:00", 5.0)),
        # 1 November 2026: 02:00 becomes 01:00, which comes twice.
        (f"Sun 01:00-02:00 {NEW_YORK}", "2026-11-01", ("05:00", 2.0)),
        (f"Sun 01:30-02:30 {NEW_YORK}", "2026-11-01", ("05:30", 2.0)),
        (f"Sun 01:15-01:45 {NEW_YORK}", "2026-11-01", ("05:15", 0.5)),
        (f"Sun 00:30-01:30 {NEW_YORK}", "2026-11-01", ("04:30", 1.0)),
        # Half an hour only, on 5 April 2026 back and on 4 October 2026 forth.
        ("Sun 01:00-03:00 Australia/Lord_Howe", "2026-04-05", ("14:00", 2.5)),
        ("Sun 02:00-02:30 Australia/Lord_Howe", "2026-10-04", None),
    ],
)
def test_a_window_goes_by_the_clock_on_the_wall(window: str, day: str, expected: tuple[str, float] | None) -> None:
    assert span(window, day) == expected


def test_a_day_that_was_left_out_has_no_window() -> None:
    found = occurrences(parse_window("Fri 10:00-12:00 Pacific/Apia", "UTC"), at("2011-12-24T00:00:00+00:00"))
    assert [f"{wall(span.begin, 'Pacific/Apia'):%d %b}" for span in islice(found, 2)] == ["06 Jan", "13 Jan"]


@given(moments, st.integers(0, 2879), zones)
def test_a_time_is_reached_when_the_clock_first_shows_it_or_is_beyond(
    moment: datetime, minutes: int, zone: str
) -> None:
    day = wall(moment, zone).date()
    wanted = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minutes)
    found = reached(day, minutes, ZoneInfo(zone))
    assert wall(found, zone) >= wanted
    earlier = [found - timedelta(seconds=1), *(found - timedelta(minutes=number) for number in range(1, 26 * 60, 7))]
    assert all(wall(before, zone) < wanted for before in earlier)


@given(windows, moments)
def test_windows_come_in_order_are_never_empty_and_begin_on_their_days(window: Window, after: datetime) -> None:
    found = list(islice(occurrences(window, after), 30))
    assert len(found) == 30
    assert all(span.begin < span.end and span.end > after for span in found)
    assert all(one.begin < other.begin for one, other in pairwise(found))
    assert all(span.end - span.begin <= timedelta(hours=25) for span in found)


@given(windows, moments)
def test_one_week_has_as_many_windows_as_days_but_for_changes_of_the_clock(window: Window, after: datetime) -> None:
    week = [span for span in islice(occurrences(window, after), 20) if after <= span.begin < after + timedelta(days=7)]
    assert abs(len(week) - len(window.days)) <= 1


@given(calendars, moments)
def test_a_deploy_may_begin_exactly_when_the_windows_say_so_and_no_freeze(found: Calendar, now: datetime) -> None:
    verdict = judge(found, now)
    inside = any(span.begin <= now for window in found.windows for span in islice(occurrences(window, now), 2))
    frozen = any(span.begin <= now < span.end for span in freezes(found.freezes, now))
    assert verdict.open == ((inside or not found.windows) and not frozen)
    assert bool(verdict.why) != verdict.open


@given(calendars, moments)
def test_the_next_moment_is_one_at_which_a_deploy_may_begin_and_no_earlier_one_is(
    found: Calendar, now: datetime
) -> None:
    verdict = judge(found, now)
    if verdict.open or verdict.next is None:
        return
    assert verdict.next > now
    assert judge(found, verdict.next).open
    gap = verdict.next - now
    assert not any(judge(found, now + gap * part / 16).open for part in range(16))
    assert not judge(found, verdict.next - timedelta(seconds=1)).open


@given(calendars, moments)
def test_an_open_window_ends_when_it_is_said_to(found: Calendar, now: datetime) -> None:
    verdict = judge(found, now)
    if not verdict.open or verdict.until is None:
        return
    assert judge(found, verdict.until - timedelta(seconds=1)).open
    assert not judge(found, verdict.until).open


@given(calendars, moments)
def test_openings_are_apart_and_in_order(found: Calendar, now: datetime) -> None:
    spans = list(islice(openings(found, now), 10))
    assert all(one.end < other.begin for one, other in pairwise(spans))


def test_without_windows_a_deploy_may_begin_at_any_time_but_in_a_freeze() -> None:
    assert judge(calendar(), at("2026-11-24T00:00:00+00:00")).open
    frozen = calendar(freezes=(f"20 Dec - 2 Jan {BERLIN}",))
    assert judge(frozen, at("2026-12-19T23:59:59+01:00")).until == at("2026-12-20T00:00:00+01:00")
    closed = judge(frozen, at("2026-12-20T00:00:00+01:00"))
    assert (closed.why, closed.next) == (
        f"the freeze 20 Dec - 2 Jan {BERLIN} is on",
        at("2027-01-03T00:00:00+01:00"),
    )
    assert judge(frozen, at("2027-01-02T23:59:59+01:00")).next == at("2027-01-03T00:00:00+01:00")
    assert judge(frozen, at("2027-01-03T00:00:00+01:00")).open


def test_the_next_window_after_a_freeze_is_the_next_moment() -> None:
    both = calendar(f"Tue 10:00-12:00 {NEW_YORK}", freezes=(f"20 Dec - 5 Jan {NEW_YORK}",))
    closed = judge(both, at("2026-12-22T10:30:00-05:00"))
    assert closed.why.startswith("the freeze 20 Dec")
    assert closed.next == at("2027-01-12T10:00:00-05:00")
    before = judge(both, at("2026-12-15T12:00:00-05:00"))
    assert (before.why, before.next) == (
        f"it is outside the windows (Tue 10:00-12:00 {NEW_YORK})",
        at("2027-01-12T10:00:00-05:00"),
    )


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2028-02-28T23:59:59+00:00", True),
        ("2028-02-29T00:00:00+00:00", False),
        ("2028-02-29T23:59:59+00:00", False),
        ("2028-03-01T00:00:00+00:00", True),
        ("2027-02-28T23:59:59+00:00", True),
        ("2027-03-01T00:00:00+00:00", True),
    ],
)
def test_a_freeze_of_the_leap_day_is_on_that_day_alone(moment: str, is_open: bool) -> None:
    assert judge(calendar(freezes=("29 Feb",)), at(moment)).open == is_open


def test_a_freeze_without_end_has_no_next_moment() -> None:
    verdict = judge(calendar("daily 10:00-11:00", freezes=("1 Jan - 31 Dec",)), at("2026-06-01T10:30:00+00:00"))
    assert (verdict.open, verdict.next) == (False, None)


def test_windows_that_meet_are_one() -> None:
    found = list(islice(openings(calendar("Mon 10:00-12:00", "Mon 12:00-13:00"), at("2026-11-23T00:00:00+00:00")), 2))
    assert [(f"{span.begin:%d %H}", f"{span.end:%d %H}") for span in found] == [("23 10", "23 13"), ("30 10", "30 13")]
    assert found[0].text == "Mon 10:00-12:00 UTC; Mon 12:00-13:00 UTC"


MOVE = Maintenance(parse_maintenance(f"28 Mar 2027 12:00-13:00 {BERLIN}", "UTC"), "the database moves")


@pytest.mark.parametrize(
    ("now", "lead"),
    [
        # Clocks go forth in that night, so a day ahead is 23 hours.
        ("2027-03-21T11:59:59+01:00", None),
        ("2027-03-21T12:00:00+01:00", "week"),
        ("2027-03-27T11:59:59+01:00", "week"),
        ("2027-03-27T12:00:00+01:00", "day"),
        ("2027-03-28T10:59:59+02:00", "day"),
        ("2027-03-28T11:00:00+02:00", "hour"),
        ("2027-03-28T11:59:59+02:00", "hour"),
        ("2027-03-28T12:00:00+02:00", None),
    ],
)
def test_maintenance_is_announced_a_week_a_day_and_an_hour_ahead(now: str, lead: str | None) -> None:
    found = due(Calendar(maintenance=(MOVE,)), at(now))
    assert [announcement.lead for announcement in found] == ([lead] if lead else [])


def test_weekly_maintenance_is_announced_each_time_and_shown_until_it_is_over() -> None:
    weekly = Calendar(maintenance=(Maintenance(parse_maintenance("Sun 03:00-04:00", "UTC"), "backups"),))
    told = due(weekly, at("2026-11-28T12:00:00+00:00"))
    assert [(f"{each.span.begin:%d %b}", each.lead) for each in told] == [("29 Nov", "day")]
    told = due(weekly, at("2026-11-29T03:00:00+00:00"))
    assert [(f"{each.span.begin:%d %b}", each.lead) for each in told] == [("06 Dec", "week")]
    [(span, _)] = maintenance(weekly, at("2026-11-29T03:30:00+00:00"))
    assert f"{span.begin:%d %b}" == "29 Nov"
    [(span, _)] = maintenance(weekly, at("2026-11-29T04:00:00+00:00"))
    assert f"{span.begin:%d %b}" == "06 Dec"
