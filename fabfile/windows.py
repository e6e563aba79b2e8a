"""`inv windows` and `inv windows.announce`: when deploys may begin, and news of maintenance that is ahead."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING

from fabfile.errors import TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fabfile.planning.windows import Announcement, Span
    from fabfile.session import Session

NEXT = 5
"""So many windows are shown."""
AHEAD = {"week": "in a week", "day": "in a day", "hour": "within the hour"}


@verb(help={"env": ENV, "json": JSON}, default=True)
def windows(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show whether a deploy may begin now, when the next ones may, the next freezes, and the maintenance ahead."""
    from fabfile.planning.windows import freezes, judge, maintenance, openings
    from fabfile.session import opened
    from fabfile.ui.clock import local

    with opened(env, reporter, read_only=True) as session:
        calendar, now = session.environment.calendar.parsed, datetime.now(UTC)
        verdict = judge(calendar, now)
        free = list(islice(openings(calendar, now), NEXT)) if calendar.windows or calendar.freezes else []
        frozen = freezes(calendar.freezes, now)[:NEXT]
        work = maintenance(calendar, now)
        rows = [["deploys", local(span.begin), local(span.end), span.text] for span in free]
        rows += [["freeze", local(span.begin), local(span.end), span.text] for span in frozen]
        rows += [
            ["maintenance", local(span.begin), local(span.end), f"{span.text}: {each.what}"] for span, each in work
        ]
        document = {
            "open": verdict.open,
            "next": verdict.next.isoformat() if verdict.next else None,
            "until": verdict.until.isoformat() if verdict.until else None,
            "windows": _documents(free),
            "freezes": _documents(frozen),
            "maintenance": [{**_document(span), "what": each.what} for span, each in work],
        }
        if verdict.open:
            until = f" until {local(verdict.until)}" if verdict.until else ""
            reporter.say(f"{session.name} takes deploys{until}")
        else:
            when = f"the next may begin {local(verdict.next)}" if verdict.next else "none may begin within two years"
            reporter.say(f"{session.name} takes no deploys now: {verdict.why}; {when}")
        reporter.table(("WHAT", "FROM", "UNTIL", "AS WRITTEN"), rows, document, "deploys may begin at any time")


@verb(help={"env": ENV, "json": JSON})
def announce(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Tell the channels of notify what maintenance begins within a week, a day, an hour, each once; for the clock."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        told = tell_what_is_due(session, datetime.now(UTC))
        lines = [f"told: {_sentence(announcement)}" for announcement in told]
        document = [{**_document(each.span), "what": each.maintenance.what, "lead": each.lead} for each in told]
        reporter.answer("\n".join(lines) or "nothing to announce", document)


def tell_what_is_due(session: Session, now: datetime) -> list[Announcement]:
    """Tell the channels what nobody told them yet, and return that. Raises TurnoutError when no channel took it."""
    from fabfile.planning.windows import due

    told = []
    for announcement in due(session.environment.calendar.parsed, now):
        key = _key(session, announcement)
        if not any(session.store.list(key)):
            _tell(session, announcement)
            # Only now: what is told twice after a power cut is better than what nobody was told.
            _remember(session, key)
            told.append(announcement)
    return told


def _tell(session: Session, announcement: Announcement) -> None:
    from fabfile.notify import tell

    title = f"maintenance of {session.environment.app} in {session.name} {AHEAD[announcement.lead]}"
    failures = tell(session.channels, title, _sentence(announcement))
    for failure in failures:
        session.reporter.say(failure)
    if len(failures) == len(session.channels):
        raise TurnoutError(f"nobody was told of the {title}", "look at the channels of notify; then type this again")


def _remember(session: Session, key: str) -> None:
    from fabfile.storage.port import AlreadyExists

    with suppress(AlreadyExists):
        session.store.put(key, b"told\n", if_absent=True)


def _key(session: Session, announcement: Announcement) -> str:
    """Where it stands that this was told: another time, text or lead is another announcement."""
    words = f"{announcement.span.text}\n{announcement.maintenance.what}"
    digest = hashlib.sha256(words.encode()).hexdigest()[:12]
    return f"{session.root}announced/{announcement.span.begin:%Y%m%dT%H%MZ}-{digest}-{announcement.lead}"


def _sentence(announcement: Announcement) -> str:
    from zoneinfo import ZoneInfo

    span, zone = announcement.span, ZoneInfo(announcement.maintenance.window.zone)
    begin, end = span.begin.astimezone(zone), span.end.astimezone(zone)
    return (
        f"{begin:%a %d %b %Y %H:%M} to {end:%H:%M %Z} ({span.begin:%H:%M} to {span.end:%H:%M} UTC): "
        f"{announcement.maintenance.what}"
    )


def _documents(spans: Iterable[Span]) -> list[dict[str, str]]:
    return [_document(span) for span in spans]


def _document(span: Span) -> dict[str, str]:
    return {"from": span.begin.isoformat(), "until": span.end.isoformat(), "text": span.text}
