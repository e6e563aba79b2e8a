"""`inv approve` and `inv approvals`: a second person agrees to a release, by signing exactly what is to be deployed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Refused
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, YES, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabfile.model.approval import Signed, Statement
    from fabfile.session import Session


@verb(help={"release": "the id of a release that waits (inv approvals)", "env": ENV, "yes": YES, "json": JSON})
def approve(reporter: Reporter, release: str, env: str | None = None, yes: bool = False, json: bool = False) -> None:
    """Agree that somebody else deploys a release to an environment: signed with your SSH key, for a limited time."""
    from fabfile.session import opened
    from fabfile.ui.clock import local

    with opened(env, reporter) as session:
        _refuse_if_unwanted(session)
        asked = _asked(session, release)
        statement = _statement(session, asked[0].statement)
        for signed in asked:
            reporter.say(f"{signed.signer.name} asked at {signed.statement.at} for {signed.statement.release}")
        reporter.say(f"SHA-256 of its archive, or of down files: {statement.digest}")
        signature = session.signature(statement)
        me = session.register.judged(statement, signature).signer
        if all(me.name == signed.signer.name or me.key == signed.signer.key for signed in asked):
            raise Refused(f"{me.name} asked for {release}, so somebody else has to approve it", "ask another one")
        session.confirm(yes, f"{me.name} is about to approve {release} for {session.name}.", always=True)
        session.register.add(statement, signature)
        until = local(datetime.fromisoformat(statement.until))
        reporter.answer(
            f"{me.name} approves {release} for {session.name} until {until}; who asked types the same command again",
            {**asdict(statement), "by": me.name, "key": me.key},
        )


@verb(help={"env": ENV, "json": JSON})
def approvals(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the releases that wait for somebody's approval, who asked, and who has agreed."""
    from fabfile.planning.approvals import WAITING, Subject, agreement, waiting
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        _refuse_if_unwanted(session)
        now, rows, documents = datetime.now(UTC), [], []
        app, required = session.environment.app, session.environment.approvals.required
        lasts = timedelta(seconds=session.environment.approvals.expire)
        found, unusable = session.register.read(since=now - max(WAITING, lasts))
        for line in unusable:
            reporter.say(f"counts for nothing: {line}")
        for signed in waiting(found, app, session.name, now):
            statement, by = signed.statement, signed.signer
            subject = Subject(app, session.name, statement.release, statement.digest)
            agreed = agreement(found, subject, by, required, lasts, now)
            names = ", ".join(agreed.names) or "-"
            rows.append([statement.release, by.name, statement.at, names, str(agreed.missing), statement.digest])
            documents.append(
                {**asdict(statement), "by": by.name, "approved_by": agreed.names, "missing": agreed.missing}
            )
        columns = ("RELEASE", "ASKED BY", "AT (UTC)", "APPROVED BY", "MISSING", "SHA-256")
        reporter.table(columns, rows, documents, f"nothing waits for approval in {session.name}")


def _refuse_if_unwanted(session: Session) -> None:
    if not session.environment.approvals.required:
        raise BadInput(
            f"{session.name} asks nobody for approval", f"set approvals.required: 1 in hosts/{session.name}.yml"
        )


def _asked(session: Session, release: str) -> Sequence[Signed]:
    """The requests for one archive of this name. Raises BadInput where there is none, Refused where there are two."""
    from fabfile.planning.approvals import WAITING, waiting

    now = datetime.now(UTC)
    found, _ = session.register.read(since=now - WAITING)
    asked = [
        signed
        for signed in waiting(found, session.environment.app, session.name, now)
        if signed.statement.release == release
    ]
    if not asked:
        raise BadInput(f"nobody has asked for {release} in {session.name}", "inv approvals lists what waits")
    if len({signed.statement.digest for signed in asked}) > 1:
        raise Refused(
            f"different archives are called {release}, so nobody could know what is approved",
            "build it once, and deploy that very file",
            [f"{signed.signer.name}: {signed.statement.digest}" for signed in asked],
        )
    return asked


def _statement(session: Session, asked: Statement) -> Statement:
    """The approval of what was asked for, for as long as approvals last here."""
    from dataclasses import replace

    now = datetime.now(UTC)
    until = now + timedelta(seconds=session.environment.approvals.expire)
    at, end = (moment.isoformat(timespec="seconds") for moment in (now, until))
    return replace(asked, kind="approval", at=at, until=end)
