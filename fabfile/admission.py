"""Whether a deploy may begin now: its hours, freezes, and other people's approval. A hotfix passes the first two."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Refused
from fabfile.model.approval import Statement
from fabfile.planning.approvals import WAITING, Subject, agreement, waiting
from fabfile.planning.custody import refusal
from fabfile.planning.windows import Verdict, judge
from fabfile.ui.clock import local
from fabfile.verb import one_line

if TYPE_CHECKING:
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
    verdict = judge(session.environment.calendar.parsed, datetime.now(UTC))
    if not verdict.open:
        if not hotfix:
            raise Refused(f"{session.name} takes no deploys now: {verdict.why}", _next(verdict), _details(verdict))
        session.reporter.say(f"a hotfix, though {verdict.why}; the reason is recorded: {hotfix}")
    if refused := _secrets_told(session):
        raise refused
    names = _approved(session, target) if session.environment.approvals.required else ()
    return replace(target, plan=replace(target.plan, hotfix=hotfix, approved_by=names))


def foretell(session: Session) -> None:
    """Say what would keep a deploy from beginning now; a plan shows the rest all the same."""
    verdict, required = (
        judge(session.environment.calendar.parsed, datetime.now(UTC)),
        session.environment.approvals.required,
    )
    if not verdict.open:
        session.reporter.say(f"inv deploy would be refused now: {verdict.why}; {_next(verdict)}")
    if refused := _secrets_told(session):
        session.reporter.say(f"inv deploy would be refused: {refused.fact}; {refused.hint}")
    if required:
        session.reporter.say(f"inv deploy wants {_people(required)} to have approved the release: inv approvals")


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


def _approved(session: Session, target: Target) -> tuple[str, ...]:
    """Who agreed. The deployer signs, too: only so is it certain that it was somebody else."""
    manifest, settings, now = target.manifest, session.environment.approvals, datetime.now(UTC)
    assert manifest
    subject = Subject(session.environment.app, session.name, manifest.id, manifest.digest)
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
    found, unusable = session.register.read(manifest.id)
    agreed = agreement(found, subject, me, settings.required, now)
    if not agreed.missing:
        return agreed.names
    asked = waiting(found, subject.app, subject.environment, now)
    if not any(signed.signer == me and subject.is_of(signed.statement) for signed in asked):
        session.register.add(request, signature)
    raise Refused(
        f"{manifest.id} may come to {session.name} once {_people(settings.required)} other than {me.name} approved it, "
        f"and {len(agreed.names)} did",
        f"they type: inv approve {manifest.id} --env={session.name}; then deploy again",
        [*agreed.ignored, *unusable],
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _next(verdict: Verdict) -> str:
    when = f"the next may begin {local(verdict.next)}" if verdict.next else "none may begin within two years"
    return f'{when}: inv windows; what cannot wait: --hotfix --reason="…"'


def _details(verdict: Verdict) -> list[str]:
    return [f"next: {verdict.next.isoformat(timespec='seconds')}"] if verdict.next else []
