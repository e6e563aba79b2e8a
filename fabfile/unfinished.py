"""`inv deploy.resume` and `inv deploy.abort`: what a dead machine left is finished, or taken back, by any other."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile import deploy, recover, rollback
from fabfile.errors import BadInput, HandsNeeded, Refused
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from fabfile.engine.run import Run
    from fabfile.engine.step import Step
    from fabfile.planning.unfinished import Unfinished
    from fabfile.session import Session
    from fabfile.steps.target import Target

AGAIN = ("start", "prove", "smoke-idle")
"""Steps that are always done again: what they prove may have been true only then."""


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": YES, "json": JSON})
def resume(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """Finish a deploy, rollback or recovery that was interrupted, from the step at which it stopped."""
    with _taken_up(reporter, env, lock_wait) as (session, run, found, folder):
        session.confirm(yes, f"{found.sentence}. It is about to be finished.")
        target = prepared(session, found, folder)
        go_on(session, target, run, found)
        (recover if target.plan.verb == "recover" else deploy).answer(session, target)


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": YES, "json": JSON})
def abort(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """Take back a deploy, rollback or recovery that was interrupted, so that everything is as it was before."""
    with _taken_up(reporter, env, lock_wait) as (session, run, found, folder):
        session.confirm(yes, f"{found.sentence}. It is about to be taken back.")
        take_back(session, run, found, folder)
        reporter.answer(
            f"{found.plan.verb} of {found.plan.release} was taken back; looked again: all is as it was",
            {"run": found.run, "hosts": list(found.plan.hosts)},
        )


def take_back(session: Session, run: Run, found: Unfinished, folder: Path) -> None:
    """Undo every step that was begun anywhere. Raises Refused when it is too late for that."""
    if found.took_effect:
        raise Refused(found.sentence, f"{found.remedy}; then inv rollback goes back")
    gone = [name for name in found.absent if name not in run.tokens]
    if gone and not session.environment.together:
        raise Refused(
            f"{', '.join(gone)} cannot be asked, and what is undone elsewhere may be what it sends its users to",
            "when all hosts answer: inv deploy.abort",
        )
    if found.plan.restore and (awaited := sorted(set(gone) & set(session.environment.run_hosts))):
        raise Refused(
            f"{', '.join(awaited)} cannot be asked whether users write to what was restored, which would be lost",
            f"when all hosts answer: inv deploy.abort; one that is gone for good: take it out of "
            f"hosts/{session.name}.yml first",
        )
    target = prepared(session, found, folder, to_undo=True)
    session.take_back([step for step in _table(session, target) if found.was_begun(step.name)], run, target)
    if gone:
        raise HandsNeeded(
            f"the run was taken back where hosts answer, but {', '.join(gone)} cannot be asked",
            "it gives its traffic back by itself; once it answers: inv deploy.abort",
        )


def prepared(session: Session, found: Unfinished, folder: Path, to_undo: bool = False) -> Target:
    """The target of a run as it was when it began. Raises Refused where it cannot go on from here."""
    if found.took_effect:
        if waited_for := sorted(set(found.absent) & set(session.environment.run_hosts)):
            raise Refused(
                f"{found.sentence}; {', '.join(waited_for)} cannot be asked",
                f"when all hosts answer: inv deploy.resume; one that is gone for good: take it out of "
                f"hosts/{session.name}.yml first",
            )
    elif not to_undo:
        if found.being_undone:
            raise Refused(found.sentence, found.remedy)
        if found.absent:
            raise Refused(
                f"{found.sentence}; {', '.join(found.absent)} cannot be asked or has no record of it",
                "when all hosts answer, try again; or undo it: inv deploy.abort",
            )
        if found.configuration and found.configuration != session.configuration:
            raise Refused(
                f"hosts/{session.name}.yml or a secret has changed since that run began",
                "undo it and deploy again: inv deploy.abort",
            )
    target = session.earlier_target(found)
    restore = found.plan.restore
    nothing_sent = found.plan.kind == "back" or (found.plan.kind == "stay" and not (restore and restore.smoke))
    if nothing_sent or to_undo or found.took_effect:
        return target
    archive = session.release_of(found.plan, folder)
    return replace(target, manifest=archive.manifest, archive=archive.path)


def go_on(session: Session, target: Target, run: Run, found: Unfinished) -> None:
    """Do what is not done yet."""
    closing = rollback.closing_steps(target)
    if found.took_effect:
        return session.carry_out([], closing, run, target)
    table = _table(session, target)
    ahead = remaining(table, found)
    if not ahead and not closing:
        raise Refused(found.sentence, "go on: inv canary.set PERCENT (100 for all); go back: inv canary.stop")
    begun = [step for step in table if found.was_begun(step.name)]
    return session.carry_out(ahead, closing, run, target, already=begun)


def remaining(table: Sequence[Step], found: Unfinished) -> list[Step]:
    """What of a run's steps is still to be done, or to be done again; nothing if all is done."""
    done = 0
    while done < len(table) and _is_behind(table, done, found):
        done += 1
    if done == len(table):
        return []
    if found.held:
        # Holding a canary ended the trial that its gates rely on: its share is given once more, on a new one.
        shares = [number for number, step in enumerate(table[:done]) if step.name.startswith("canary-")]
        done = shares[-1] if shares else done
    return [step for step in table[:done] if step.name in AGAIN] + list(table[done:])


def _is_behind(table: Sequence[Step], number: int, found: Unfinished) -> bool:
    """Whether the run has passed this step, be it that an earlier resume stopped while doing it again, or that the step
    is a hook that came into the configuration since."""
    step, following = table[number], table[number + 1 :]
    return found.is_done(step.name, step.hosts) or (
        (step.name in AGAIN or not found.was_begun(step.name))
        and any(found.was_begun(later.name) for later in following if later.name not in AGAIN)
    )


def _table(session: Session, target: Target) -> list[Step]:
    tables = {"rollback": rollback.steps, "recover": recover.steps}
    return tables.get(target.plan.verb, deploy.steps)(session, target)


@contextmanager
def _taken_up(reporter: Reporter, env: str | None, lock_wait: str) -> Iterator[tuple[Session, Run, Unfinished, Path]]:
    from fabfile.session import opened

    with (
        opened(env, reporter) as session,
        tempfile.TemporaryDirectory(prefix="turnout-") as folder,
        taken_up(session, duration(lock_wait, "--lock-wait")) as (run, found),
    ):
        yield session, run, found, Path(folder)


@contextmanager
def taken_up(session: Session, wait: float) -> Iterator[tuple[Run, Unfinished]]:
    """Hold the lease on the hosts that answer, and go on under the name of the run that has not ended there."""
    from fabfile.errors import TurnoutError
    from fabfile.planning.unfinished import find_unfinished

    hosts = [name for name, seen in session.observe_reachable().items() if not isinstance(seen, TurnoutError)]
    with session.lease("resume", "finish or undo an interrupted run", wait, hosts) as run:
        found = find_unfinished(session.observe(hosts))
        if found is None:
            raise BadInput("no run was left unfinished", "inv status shows what every host serves")
        yield replace(run, id=found.run, verb=found.plan.verb), found
