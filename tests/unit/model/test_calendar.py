"""Windows, freezes and maintenance as people write them."""

from __future__ import annotations

from datetime import date

import pytest

from fabfile.model.calendar import parse_freeze, parse_maintenance, parse_window

WEEKDAYS = frozenset(range(5))


@pytest.mark.parametrize(
    ("text", "days", "begin", "end", "zone"),
    [
        ("Tue 10:00 America/New_York", {1}, 600, 660, "America/New_York"),
        ("Tue 10:00-12:30 America/New_York", {1}, 600, 750, "America/New_York"),
        ("Mon-Fri 09:00-16:00", set(WEEKDAYS), 540, 960, "Europe/Berlin"),
        ("Mon,Wed-Thu 09:00 – 16:00 UTC", {0, 2, 3}, 540, 960, "UTC"),
        ("Fri-Mon 22:00-02:00", {4, 5, 6, 0}, 1320, 1560, "Europe/Berlin"),
        ("daily 00:00-24:00 Etc/GMT+5", set(range(7)), 0, 1440, "Etc/GMT+5"),
        ("Sun 23:30", {6}, 1410, 1470, "Europe/Berlin"),
        ("Sat 08:00-08:00", {5}, 480, 1920, "Europe/Berlin"),
    ],
)
def test_a_window_is_days_hours_and_a_zone(text: str, days: set[int], begin: int, end: int, zone: str) -> None:
    found = parse_window(text, "Europe/Berlin")
    assert (set(found.days), found.begin, found.end, found.zone) == (days, begin, end, zone)
    assert found.text.endswith(zone)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "expected days and hours"),
        ("10:00-12:00", "expected days and hours"),
        ("Tue", "expected days and hours"),
        ("tue 10:00", "expected days and hours"),
        ("Tue 25:00", "expected days and hours"),
        ("Tue 9:00-10:00", "expected days and hours"),
        ("Tue 10:60", "expected days and hours"),
        ("Tue 24:00-25:00", "expected days and hours"),
        ("Tue 10:00-12:00 UTC UTC", "expected days and hours"),
        ("Tue 10:00-12:00 Mars", "expected a time zone such as"),
        ("Tue 10:00-12:00 US/new_york", "expected a time zone such as America/New_York or UTC"),
        ("Tue 10:00-12:00 America", "expected a time zone such as"),
        ("5 Dec 2026 10:00", "expected days and hours"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_window(text, "UTC")


def test_maintenance_is_a_window_or_once() -> None:
    once = parse_maintenance("5 Dec 2026 22:00-23:30 Europe/Berlin", "UTC")
    assert (once.once, once.begin, once.end, once.zone) == (date(2026, 12, 5), 1320, 1410, "Europe/Berlin")
    assert [day for day in (5, 6) if once.falls_on(date(2026, 12, day))] == [5]
    weekly = parse_maintenance("Sun 03:00-04:00", "UTC")
    assert (weekly.once, set(weekly.days)) == (None, {6})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5 Dec 22:00", "expected the year"),
        ("31 Nov 2026 22:00", "there is no 31 Nov 2026"),
        ("29 Feb 2027 22:00", "there is no 29 Feb 2027"),
        ("5 Dec 9999 22:00", "expected a year from 2000 to 2199"),
        ("soon", "or a date: 5 Dec 2026 22:00-23:30"),
        ("Sun 03:00 Mars", "^expected a time zone"),
    ],
)
def test_a_maintenance_that_never_comes_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_maintenance(text, "UTC")


@pytest.mark.parametrize(
    ("text", "in_2027", "in_2028"),
    [
        ("20 Dec - 2 Jan", (date(2027, 12, 20), date(2028, 1, 3)), (date(2028, 12, 20), date(2029, 1, 3))),
        ("20 Dec – 2 Jan", (date(2027, 12, 20), date(2028, 1, 3)), (date(2028, 12, 20), date(2029, 1, 3))),
        ("24 Dec", (date(2027, 12, 24), date(2027, 12, 25)), (date(2028, 12, 24), date(2028, 12, 25))),
        ("27 Feb - 29 Feb", (date(2027, 2, 27), date(2027, 3, 1)), (date(2028, 2, 27), date(2028, 3, 1))),
        ("27 Feb - 28 Feb", (date(2027, 2, 27), date(2027, 3, 1)), (date(2028, 2, 27), date(2028, 2, 29))),
        ("29 Feb - 3 Mar", (date(2027, 3, 1), date(2027, 3, 4)), (date(2028, 2, 29), date(2028, 3, 4))),
        ("29 Feb", None, (date(2028, 2, 29), date(2028, 3, 1))),
        ("1 Jan - 31 Dec", (date(2027, 1, 1), date(2028, 1, 1)), (date(2028, 1, 1), date(2029, 1, 1))),
    ],
)
def test_a_freeze_comes_every_year_with_and_without_a_29_february(
    text: str, in_2027: tuple[date, date] | None, in_2028: tuple[date, date]
) -> None:
    found = parse_freeze(text, "UTC")
    assert list(found.ranges(2027, 2028)) == [pair for pair in (in_2027, in_2028) if pair]


def test_a_freeze_with_years_comes_once() -> None:
    found = parse_freeze("20 Dec 2026 - 2 Jan 2027 Europe/Berlin", "UTC")
    assert list(found.ranges(2020, 2030)) == [(date(2026, 12, 20), date(2027, 1, 3))]
    assert found.text.count("Europe/Berlin") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Christmas", "expected days of the year"),
        ("31 Feb", "there is no 31 Feb"),
        ("0 Jan", "there is no 0 Jan"),
        ("20 Dec - 2 Jan 2027", "a year at both ends, or at neither"),
        ("2 Jan 2027 - 20 Dec 2026", "expected the first day before the last"),
        ("29 Feb 2027 - 1 Mar 2027", "there is no 29 Feb 2027"),
        ("24 Dec Mars", "expected a time zone"),
    ],
)
def test_days_that_never_come_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_freeze(text, "UTC")
