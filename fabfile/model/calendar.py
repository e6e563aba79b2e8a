"""When a team wants deploys and when not, as people write it: windows, freezes, and times of maintenance."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MIDNIGHT = 24 * 60
LEAP_YEAR = 2000
YEARS = range(2000, 2200)
HOUR = 60

_DAY, _CLOCK = f"(?:{'|'.join(DAYS)})", r"(?:[01]\d|2[0-3]):[0-5]\d"
_HOURS = rf"(?P<begin>{_CLOCK})(?:\s*[-–]\s*(?P<end>{_CLOCK}|24:00))?"
_ZONE = r"(?:\s+(?P<zone>[A-Za-z][A-Za-z0-9_+/-]*))?"
_WEEKLY = re.compile(rf"(?P<days>daily|{_DAY}(?:-{_DAY})?(?:,\s*{_DAY}(?:-{_DAY})?)*)\s+{_HOURS}{_ZONE}")
_DATE = rf"(\d{{1,2}}) ({'|'.join(MONTHS)})(?: (\d{{4}}))?"
_ONCE = re.compile(rf"(?P<date>{_DATE})\s+{_HOURS}{_ZONE}")
_FREEZE = re.compile(rf"{_DATE}(?:\s*[-–]\s*{_DATE})?{_ZONE}")


@dataclass(frozen=True)
class Window:
    """Hours that come again on days of the week (0 is Monday), or once on `once`.

    `begin` and `end` are minutes of the clock on the wall since midnight; an end above 24 h is on the next day.
    """

    text: str
    days: frozenset[int]
    begin: int
    end: int
    zone: str
    once: date | None = None

    def falls_on(self, day: date) -> bool:
        """Whether the window begins on this day."""
        return day == self.once if self.once else day.weekday() in self.days


@dataclass(frozen=True)
class Freeze:
    """Whole days, both ends included: every year from (month, day) to (month, day), or once where years are named."""

    text: str
    first: tuple[int, int]
    last: tuple[int, int]
    years: tuple[int, int] | None
    zone: str

    def ranges(self, since: int, until: int) -> Iterator[tuple[date, date]]:
        """The first day and the first day after it, for every time it begins within these years."""
        if self.years:
            yield _on(self.years[0], *self.first), _after(self.years[1], *self.last)
            return
        over_new_year = self.last < self.first
        for year in range(since, until + 1):
            begin, end = _on(year, *self.first), _after(year + over_new_year, *self.last)
            if begin < end:
                yield begin, end


@dataclass(frozen=True)
class Maintenance:
    """When the team works on the system, and what users are told about it."""

    window: Window
    what: str


@dataclass(frozen=True)
class Calendar:
    """When deploys may begin (always, without any window) and when they must not, and what is announced."""

    windows: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()


def parse_window(text: str, zone: str) -> Window:
    """`Tue 10:00-12:00 America/New_York`, `Mon-Thu,Sat 22:00-02:00`, `daily 09:00`: without an end, one hour.

    `zone` is taken where the text names none. Raises ValueError for anything else.
    """
    match = _WEEKLY.fullmatch(text.strip())
    if not match:
        raise ValueError("expected days and hours, such as Tue 10:00-12:00 America/New_York or Mon-Thu 09:00-16:00")
    begin, end = _hours(match["begin"], match["end"])
    days = frozenset(day for part in match["days"].split(",") for day in _days(part.strip()))
    where = parse_zone(match["zone"] or zone)
    return Window(_in_zone(text, match, where), days, begin, end, where)


def parse_maintenance(text: str, zone: str) -> Window:
    """As `parse_window`, or once: `5 Dec 2026 22:00-23:30 Europe/Berlin`. Raises ValueError."""
    match = _ONCE.fullmatch(text.strip())
    if not match:
        try:
            return parse_window(text, zone)
        except ValueError as error:
            if _WEEKLY.fullmatch(text.strip()):
                raise
            raise ValueError(f"{error}, or a date: 5 Dec 2026 22:00-23:30") from None
    if not match[4]:
        raise ValueError("expected the year with the date, such as 5 Dec 2026 22:00-23:30")
    begin, end = _hours(match["begin"], match["end"])
    month, day = _month_and_day(match[2], match[3], int(match[4]))
    where, once = parse_zone(match["zone"] or zone), date(int(match[4]), month, day)
    return Window(_in_zone(text, match, where), frozenset(), begin, end, where, once)


def parse_freeze(text: str, zone: str) -> Freeze:
    """`20 Dec - 2 Jan`, `24 Dec Europe/Berlin`, or once with years: `1 Jun 2026 - 5 Jun 2026`. Raises ValueError."""
    match = _FREEZE.fullmatch(text.strip())
    if not match:
        raise ValueError("expected days of the year, such as 20 Dec - 2 Jan, or with years 1 Jun 2026 - 5 Jun 2026")
    first, last = match.group(1, 2, 3), match.group(4, 5, 6) if match[4] else match.group(1, 2, 3)
    if bool(first[2]) != bool(last[2]):
        raise ValueError("expected a year at both ends, or at neither")
    years = (int(first[2]), int(last[2])) if first[2] else None
    begin = _month_and_day(first[0], first[1], years[0] if years else LEAP_YEAR)
    end = _month_and_day(last[0], last[1], years[1] if years else LEAP_YEAR)
    if years and (years[1], *end) < (years[0], *begin):
        raise ValueError("expected the first day before the last")
    where = parse_zone(match["zone"] or zone)
    return Freeze(_in_zone(text, match, where), begin, end, years, where)


def parse_zone(name: str) -> str:
    """The name, when it is one of the time zone database. Raises ValueError, with the nearest that is."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = sorted(available_timezones())
        city = [zone for zone in known if zone.rpartition("/")[2].lower() == name.rpartition("/")[2].lower()]
        raise ValueError(f"expected a time zone such as {next(iter(city), 'Europe/Berlin')} or UTC") from None
    return name


def _in_zone(text: str, match: re.Match[str], zone: str) -> str:
    """The text, never without its zone."""
    return text.strip() if match["zone"] else f"{text.strip()} {zone}"


def _hours(begin: str, end: str | None) -> tuple[int, int]:
    first = _minutes(begin)
    last = _minutes(end) if end else first + HOUR
    return first, last if last > first else last + MIDNIGHT


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _days(text: str) -> list[int]:
    if text == "daily":
        return list(range(7))
    first, _, last = text.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]


def _month_and_day(day: str, month: str, year: int) -> tuple[int, int]:
    number = MONTHS.index(month) + 1
    if year not in YEARS:
        raise ValueError(f"expected a year from {YEARS[0]} to {YEARS[-1]}")
    try:
        date(year, number, int(day))
    except ValueError:
        raise ValueError(f"there is no {day} {month}{'' if year == LEAP_YEAR else f' {year}'}") from None
    return number, int(day)


def _on(year: int, month: int, day: int) -> date:
    """That day, or 1 March for 29 February of a common year."""
    try:
        return date(year, month, day)
    except ValueError:
        return date(year, 3, 1)


def _after(year: int, month: int, day: int) -> date:
    """The day after that day; 1 March for 29 February of any year."""
    return date(year, 3, 1) if (month, day) == (2, 29) else date(year, month, day) + timedelta(days=1)
