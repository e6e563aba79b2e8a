"""`inv rollback`: to the other slot or a kept release; what else goes back is in `restore`, `moment` and `undo`."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile import moment, restore
from fabfile.deploy import closing, summary
from fabfile.deploy import steps as deploy_steps
from fabfile.errors import BadInput
from fabfile.planning.deploy_plan import plan_deploy, refuse_if_bad
from fabfile.planning.unfinished import refuse_if_unfinished
from fabfile.ui.reporter import Reporter
from fabfile.undo import undo as bring_back
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.engine.step import Step
    from fabfile.model.observed import Observed
    from fabfile.session import Session
    from fabfile.steps.target import Target


@verb(
    help={
        "env": ENV,
        "to": "a release that the hosts keep (inv releases); nothing is uploaded",
        "backup": "a backup's number, or latest: bring files and database back to it (see inv backup.list)",
        "files_only": "with --backup: the shared files alone; database and release stay",
        "db_only": "with --backup: the database alone; shared files and release stay",
        "at": 'a moment, "2026-11-21 03:00 UTC": bring the whole database server back to it (needs pgBackRest)',
        "undo": "bring back what the last rollback to a backup or moment put aside: database, files, release",
        "over_contract": "though a contract migration took away what that release may need; to one of this environment",
        "allow_missing": "go on without up to so many hosts that are out of reach",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def rollback(
    reporter: Reporter,
    env: str | None = None,
    to: str | None = None,
    backup: str | None = None,
    files_only: bool = False,
    db_only: bool = False,
    at: str | None = None,
    undo: bool = False,
    over_contract: bool = False,
    allow_missing: int = 0,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Go back to the release in the other slot, to another that the hosts keep, to a backup, or to a moment."""
    from fabfile.migrations import refuse_over_contract
    from fabfile.session import opened

    wait = duration(lock_wait, "--lock-wait")
    _refuse_contradictions(to, backup, at, undo, files_only, db_only)
    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        if backup is not None:
            return restore.to_backup(session, backup, files_only, db_only, wait, yes, Path(folder))
        if at is not None:
            return moment.to_moment(session, at, to, wait, yes, Path(folder))
        if undo:
            return bring_back(session, wait, yes, Path(folder))
        where = to or "the release in its other slot"
        session.confirm(yes, f"{session.name} is about to go back to {where}.")
        hosts = session.reachable(allow_missing)
        with session.lease("rollback", "rollback", wait, hosts) as run:
            observed = session.observe(hosts)
            refuse_if_unfinished(observed)
            target = _to_release(session, observed, to, Path(folder)) if to else session.rollback_target(observed)
            target = replace(target, plan=replace(target.plan, missing=_missing(session, hosts)))
            if not over_contract:
                refuse_over_contract(session, target.plan.release, observed)
            if target.plan.empty:
                return reporter.answer(f"nothing to do: {session.name} serves {target.plan.release}", summary(target))
            session.carry_out(steps(session, target), closing(target), run, target)
        _answer(session, target)
    return None


def _refuse_contradictions(
    to: str | None, backup: str | None, at: str | None, undo: bool, files_only: bool, db_only: bool
) -> None:
    named = {"--to": to is not None and at is None, "--backup": backup is not None, "--at": at is not None}
    ways = [flag for flag, given in {**named, "--undo": undo}.items() if given]
    halves = [flag for flag, given in (("--files-only", files_only), ("--db-only", db_only)) if given]
    if len(ways) > 1:
        raise BadInput(f"{' and '.join(ways)} are different ways back", "choose one; a backup brings its own release")
    if len(halves) > 1:
        raise BadInput("--files-only and --db-only exclude each other", "leave both out to bring back both together")
    if halves and backup is None:
        raise BadInput(f"{halves[0]} is about a backup", f"name it: inv rollback --backup=N {halves[0]}")


def steps(session: Session, target: Target) -> list[Step]:
    """The steps of a rollback of any kind, whether it begins now or goes on."""
    if target.plan.restore is not None:
        return restore.steps(session, target)
    return quick_steps(session, target) if target.plan.kind == "back" else deploy_steps(session, target)


def quick_steps(session: Session, target: Target) -> list[Step]:
    """Back to the other slot, from top to bottom."""
    from fabfile.steps import process, record, traffic

    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-rollback", target),
        process.start(target),
        process.prove(target),
        traffic.reach(target),
        traffic.site(target),
        *session.hooks("pre-switch", target),
        traffic.switch(target),
        traffic.confirm(target),
        *session.hooks("post-switch", target),
        traffic.drain(target),
        process.settle(target),
    ]
    return [step for step in table if step.hosts]


def closing_steps(target: Target) -> list[Step]:
    """What ends a rollback or deploy of any kind."""
    return restore.closing(target) if target.plan.restore is not None else closing(target)


def _to_release(session: Session, observed: Mapping[str, Observed], to: str, folder: Path) -> Target:
    refuse_if_bad(observed, to)
    archive = session.kept_release(to, observed, folder)
    plan = plan_deploy(
        observed.values(), session.environment, archive.manifest.id, session.configuration, session.templates
    )
    return session.deploy_target(archive, observed, replace(plan, verb="rollback"))


def _answer(session: Session, target: Target) -> None:
    session.reporter.answer(f"{session.name} serves {target.plan.release}", summary(target))


def _missing(session: Session, hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in session.environment.run_hosts if name not in hosts)
