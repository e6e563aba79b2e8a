"""Whether a release may be deployed as far as other people are concerned, and which releases wait for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fabfile.model.approval import Signed, Signer, Statement

AHEAD = timedelta(minutes=5)
"""How far the clock of another machine may be ahead."""
WAITING = timedelta(days=7)
"""How long a request waits for somebody."""


@dataclass(frozen=True)
class Subject:
    """Exactly what is to be deployed, and where."""

    app: str
    environment: str
    release: str
    digest: str

    def is_of(self, statement: Statement) -> bool:
        """Whether the statement is about this and nothing else."""
        theirs = (statement.app, statement.environment, statement.release, statement.digest)
        return theirs == (self.app, self.environment, self.release, self.digest)


@dataclass(frozen=True)
class Agreement:
    """Who agreed, sorted; why other approvals count for nothing; and how many are missing."""

    names: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: int


def agreement(
    found: Iterable[Signed], subject: Subject, deployer: Signer, required: int, lasts: timedelta, now: datetime
) -> Agreement:
    """Weigh the approvals among `found`. One person counts once, whatever keys they have, and never the deployer; nor
    does the deployer's key under another name, or one key under two. None counts longer than it `lasts` here."""
    names: dict[str, str] = {}
    ignored = []
    for signed in found:
        if signed.statement.kind != "approval":
            continue
        name, key = signed.signer.name, signed.signer.key
        if why := _why_not(signed, subject, deployer, lasts, now):
            ignored.append(f"{name}: {why}")
        elif name not in names and key not in names.values():
            names[name] = key
    return Agreement(tuple(sorted(names)), tuple(ignored), max(0, required - len(names)))


def _why_not(signed: Signed, subject: Subject, deployer: Signer, lasts: timedelta, now: datetime) -> str:
    statement = signed.statement
    if not subject.is_of(statement):
        return "approved another archive, application or environment"
    if signed.signer.name == deployer.name or signed.signer.key == deployer.key:
        return "is who deploys it"
    if _time(statement.at) > now + AHEAD:
        return f"approved in the future, {statement.at}"
    until = min(_time(statement.until), _time(statement.at) + lasts)
    if until <= now:
        return f"approved it until {until.isoformat(timespec='seconds')}"
    return ""


def waiting(found: Iterable[Signed], app: str, environment: str, now: datetime) -> list[Signed]:
    """The requests that somebody may still agree to, the newest of each archive and person, newest first."""
    newest: dict[tuple[str, str, str], Signed] = {}
    for signed in sorted(found, key=lambda signed: signed.statement.at):
        statement = signed.statement
        fits = (statement.kind, statement.app, statement.environment) == ("request", app, environment)
        if fits and now - WAITING < _time(statement.at) <= now + AHEAD:
            newest[(statement.release, statement.digest, signed.signer.name)] = signed
    return sorted(newest.values(), key=lambda signed: signed.statement.at, reverse=True)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
