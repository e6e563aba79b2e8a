"""Whether a deploy or migration may begin now: its hours, freezes, and other people's approval. A hotfix passes the
first two."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fabfile.commands.release import keep_verdict
from fabfile.errors import BadInput, Refused
from fabfile.model.approval import Statement
from fabfile.planning.approvals import WAITING, Subject, agreement, waiting
from fabfile.planning.custody import refusal
from fabfile.planning.windows import Verdict, judge
from fabfile.ui.clock import local
from fabfile.verb import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from fabfile.engine.run import Run
    from fabfile.session import Session
    from fabfile.steps.target import Target


def hotfix_reason(hotfix: bool, reason: str | None) -> str:
    """Why a deploy cannot wait, or nothing for one that can. Raises BadInput for a flag without the other."""
    why = one_line(reason, "--reason") if reason is not None else ""
    if hotfix and not why:
        raise BadInput("--hotfix wants a reason, which is recorded", 'write --hotfix --reason="checkout is down"')
    if why and not hotfix:
        raise BadInput("--reason is why a hotfix cannot wait", "add --hotfix, or leave --reason out")
    return why


def admitted(session: Session, target: Target, hotfix: str) -> Target:
    """The target, which has something to do, with what let it in.

    Raises Refused outside the windows or within a freeze (unless there is a reason for a hotfix), while a secret is one
    of the environment that it must differ from, and while people who have to agree have not; then it leaves a request
    for them.
    """
    _refuse_at_this_hour(session, hotfix)
    if refused := _secrets_told(session):
        raise refused
    manifest = target.manifest
    assert manifest
    names = _approved(session, manifest.id, lambda: manifest.digest)
    return replace(target, plan=replace(target.plan, hotfix=hotfix, approved_by=names))


def admit(session: Session, run: Run, what: str, digest: Callable[[], str], hotfix: str) -> None:
    """Let a run go on that changes the schema without a deploy, and keep on its hosts what let it in.

    `what` is the release whose migrations are meant, or else a name for them, and `digest` the SHA-256 of exactly that,
    which people approve. Raises Refused as `admitted` does.
    """
    _refuse_at_this_hour(session, hotfix)
    names = _approved(session, what, digest)
    line = {"run": run.id, "step": "admit", "at": datetime.now(UTC).isoformat(timespec="seconds"), "verb": run.verb}
    line |= {"what": what, "holder": session.holder, "hotfix": hotfix}
    script = keep_verdict(session.paths, json.dumps({**line, "approved_by": names}))
    run.on_hosts("admit", dict.fromkeys(session.environment.app_hosts, script))


def foretell(session: Session) -> None:
    """Say what would keep a deploy from beginning now; a plan shows the rest all the same."""
    foretell_admission(session, "deploy")
    if refused := _secrets_told(session):
        session.reporter.say(f"inv deploy would be refused: {refused.fact}; {refused.hint}")


def foretell_admission(session: Session, verb: str) -> None:
    """Say which hours, freezes and people would keep `inv VERB` from beginning now."""
    verdict, required = _verdict(session), session.environment.approvals.required
    if not verdict.open:
        session.reporter.say(f"inv {verb} would be refused now: {verdict.why}; {_next(verdict)}")
    if required:
        session.reporter.say(f"inv {verb} wants {_people(required)} to have approved the release: inv approvals")


def _verdict(session: Session) -> Verdict:
    return judge(session.environment.calendar.parsed, datetime.now(UTC))


def _refuse_at_this_hour(session: Session, hotfix: str) -> None:
    verdict = _verdict(session)
    if verdict.open:
        return
    if not hotfix:
        raise Refused(f"{session.name} takes no deploys now: {verdict.why}", _next(verdict), _details(verdict))
    session.reporter.say(f"a hotfix, though {verdict.why}; the reason is recorded: {hotfix}")


def _secrets_told(session: Session) -> Refused | None:
    """Say which secrets are due to be changed and which could not be compared; what a deploy is refused with."""
    if not session.environment.secrets:
        return None
    if due := [f"{item.name} (since {item.due})" for item in session.ages() if item.state == "due"]:
        session.reporter.say(f"due to be changed: {', '.join(due)}; inv secrets.list")
    compared = session.separation()
    if compared is None:
        return None
    if sentence := compared.sentence():
        session.reporter.say(sentence)
    return refusal(session.name, compared)


def _approved(session: Session, what: str, digest: Callable[[], str]) -> tuple[str, ...]:
    """Who agreed. The deployer signs, too: only so is it certain that it was somebody else."""
    settings, now = session.environment.approvals, datetime.now(UTC)
    if not settings.required:
        return ()
    subject = Subject(session.environment.app, session.name, what, digest())
    request = Statement(
        "request",
        subject.app,
        subject.environment,
        subject.release,
        subject.digest,
        now.isoformat(timespec="seconds"),
        (now + WAITING).isoformat(timespec="seconds"),
    )
    signature = session.signature(request)
    me = session.register.judged(request, signature).signer
    found, unusable = session.register.read(what)
    lasts = timedelta(seconds=settings.expire)
    agreed = agreement(found, subject, me, settings.required, lasts, now)
    if not agreed.missing:
        return agreed.names
    asked = waiting(found, subject.app, subject.environment, now)
    if not any(signed.signer == me and subject.is_of(signed.statement) for signed in asked):
        session.register.add(request, signature)
    raise Refused(
        f"{what} may come to {session.name} once {_people(settings.required)} other than {me.name} approved it, "
        f"and {len(agreed.names)} did",
        f"they type: inv approve {what} --env={session.name}; then type this again",
        [*agreed.ignored, *unusable],
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _next(verdict: Verdict) -> str:
    when = f"the next may begin {local(verdict.next)}" if verdict.next else "none may begin within two years"
    return f'{when}: inv windows; what cannot wait: --hotfix --reason="…"'


def _details(verdict: Verdict) -> list[str]:
    return [f"next: {verdict.next.isoformat(timespec='seconds')}"] if verdict.next else []
