"""Whether a deploy may begin now, when it next may, and what maintenance is to be announced; zones and DST included.

Hours are those of the clock on the wall. Where clocks skip an hour, what would begin or end within it does so when they
have skipped it; where an hour comes twice, the first one counts. So in the night in which 02:00 becomes 03:00 a window
02:30-03:30 lasts 30 minutes and 02:00-03:00 is left out; when 01:00 comes twice, 01:30-02:30 lasts two hours.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

from fabfile.model.calendar import Calendar, Freeze, Maintenance, Window

HORIZON = timedelta(days=2 * 366)
"""How far ahead anything is looked for."""
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True, order=True)
class Span:
    """From a moment on and before another, in UTC, and what says so."""

    begin: datetime
    end: datetime
    text: str


@dataclass(frozen=True)
class Verdict:
    """Whether a deploy may begin; `until` when that ends, or `why` not and `next` when it may. None: not within two
    years."""

    open: bool
    why: str
    next: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Announcement:
    """News that are due: which maintenance, when it is (UTC), and how far ahead this is told."""

    maintenance: Maintenance
    span: Span
    lead: str


def reached(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    """The first moment (UTC) at which clocks in the zone show `minutes` after that day's midnight, or are beyond it."""
    wall = datetime.combine(day, time()) + timedelta(minutes=minutes)
    shown = wall.replace(tzinfo=zone).astimezone(UTC)
    if shown.astimezone(zone).replace(tzinfo=None) == wall:
        return shown
    # Skipped: read with the offset before the change it lies after it, and the other way round.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), shown
    offset = after.astimezone(zone).utcoffset()
    while after - before > SECOND:
        middle = before + (after - before) // 2 // SECOND * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def occurrences(window: Window, after: datetime) -> Iterator[Span]:
    """When the window takes place, from the one that `after` is in or the next on, in order."""
    return (span for _, span in _by_day(window, after))


def _by_day(window: Window, after: datetime) -> Iterator[tuple[date, Span]]:
    """As `occurrences`, each with the day that it belongs to in its zone."""
    zone = ZoneInfo(window.zone)
    # It may have begun on the day before, and midnight is at another time in each zone.
    first, last = (moment.astimezone(zone).date() for moment in (after - 2 * DAY, after + HORIZON))
    days = [window.once] if window.once else (first + number * DAY for number in range((last - first).days + 1))
    for day in days:
        if window.falls_on(day):
            begin, end = reached(day, window.begin, zone), reached(day, window.end, zone)
            if begin < end and end > after:
                yield day, Span(begin, end, window.text)


def freezes(found: Iterable[Freeze], after: datetime) -> list[Span]:
    """When nothing may be deployed, from the one that `after` is in or the next on, those that meet as one."""
    spans = []
    for freeze in found:
        zone = ZoneInfo(freeze.zone)
        for first, beyond in freeze.ranges(after.year - 2, (after + HORIZON).year + 1):
            span = Span(reached(first, 0, zone), reached(beyond, 0, zone), freeze.text)
            if span.begin < span.end and span.end > after:
                spans.append(span)
    return list(_joined(sorted(spans)))


def openings(calendar: Calendar, after: datetime) -> Iterator[Span]:
    """When deploys may begin, from now or the next time on, in order: all windows together, less the freezes."""
    whole = [Span(after, after + HORIZON, "any time")]
    windows = heapq.merge(*(occurrences(window, after) for window in calendar.windows)) if calendar.windows else whole
    frozen = freezes(calendar.freezes, after)
    for span in _joined(windows):
        yield from (part for part in _less(span, frozen) if part.end > after)


def judge(calendar: Calendar, now: datetime) -> Verdict:
    """Whether a deploy may begin at this moment."""
    found = next(openings(calendar, now), None)
    if found and found.begin <= now:
        return Verdict(True, "", None, found.end if found.end < now + HORIZON else None)
    frozen = next((span for span in freezes(calendar.freezes, now) if span.begin <= now), None)
    windows = "; ".join(window.text for window in calendar.windows)
    why = f"the freeze {frozen.text} is on" if frozen else f"it is outside the windows ({windows})"
    return Verdict(False, why, found.begin if found else None, None)


def maintenance(calendar: Calendar, after: datetime) -> list[tuple[Span, Maintenance]]:
    """What is going on or comes next of each maintenance, the soonest first."""
    found = ((next(occurrences(each.window, after), None), each) for each in calendar.maintenance)
    return sorted(((span, each) for span, each in found if span), key=lambda pair: pair[0])


def due(calendar: Calendar, now: datetime) -> list[Announcement]:
    """What should have been announced by now of all that begins within a week: for each the latest news alone.

    A week and a day ahead are by the clock on the wall, whatever it did in between; an hour is an hour.
    """
    found = []
    for each in calendar.maintenance:
        coming = takewhile(lambda pair: pair[1].begin <= now + 8 * DAY, _by_day(each.window, now))
        for day, span in coming:
            leads = [lead for lead, at in _leads(each.window, day, span) if at <= now < span.begin]
            found += [Announcement(each, span, lead) for lead in leads[-1:]]
    return sorted(found, key=lambda announcement: announcement.span)


def _leads(window: Window, day: date, span: Span) -> list[tuple[str, datetime]]:
    zone = ZoneInfo(window.zone)
    return [
        ("week", reached(day - 7 * DAY, window.begin, zone)),
        ("day", reached(day - DAY, window.begin, zone)),
        ("hour", span.begin - timedelta(hours=1)),
    ]


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans in the order of their beginnings, with those that meet or overlap made one."""
    current: Span | None = None
    for span in spans:
        if current is None or span.begin > current.end:
            if current:
                yield current
            current = span
        else:
            texts = dict.fromkeys([*current.text.split("; "), span.text])
            current = Span(current.begin, max(current.end, span.end), "; ".join(texts))
    if current:
        yield current


def _less(span: Span, frozen: Iterable[Span]) -> Iterator[Span]:
    """What is left of a span outside the others, which are in order and apart."""
    begin = span.begin
    for cut in frozen:
        if cut.end <= begin:
            continue
        if cut.begin >= span.end:
            break
        if cut.begin > begin:
            yield Span(begin, cut.begin, span.text)
        begin = max(begin, cut.end)
    if begin < span.end:
        yield Span(begin, span.end, span.text)
