"""`inv rollback`: back to the other slot, or back to a backup with files and database together."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.deploy import closing, summary
from fabfile.deploy import steps as deploy_steps
from fabfile.errors import BadInput, Refused
from fabfile.planning.deploy_plan import plan_deploy
from fabfile.planning.unfinished import refuse_if_unfinished
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabfile.artifact.archive import Release
    from fabfile.engine.step import Step
    from fabfile.model.observed import Observed
    from fabfile.model.recovery_point import RecoveryPoint
    from fabfile.session import Session
    from fabfile.steps.target import Target


@verb(
    help={
        "env": ENV,
        "to": "a release that the hosts keep (inv releases); nothing is uploaded",
        "backup": "a backup's number, or latest: bring files and database back to it (see inv backup.list)",
        "at": 'a moment, "2026-11-21 03:00 UTC": bring the whole database server back to it (needs pgBackRest)',
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
    at: str | None = None,
    allow_missing: int = 0,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Go back to the release in the other slot, to another that the hosts keep, or with --backup=N to a backup."""
    from fabfile.session import opened

    wait = duration(lock_wait, "--lock-wait")
    if to is not None and backup is not None:
        raise BadInput("--to and --backup are two ways back", "choose one; a backup brings its own release")
    if at is not None and backup is not None:
        raise BadInput("--at and --backup are two ways back", "choose one; a moment is reached from a backup by itself")
    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        if backup is not None:
            return _to_backup(session, backup, wait, yes, Path(folder))
        if at is not None:
            return _to_moment(session, at, to, wait, yes, Path(folder))
        where = to or "the release in its other slot"
        session.confirm(yes, f"{session.name} is about to go back to {where}.")
        hosts = session.reachable(allow_missing)
        with session.lease("rollback", "rollback", wait, hosts) as run:
            observed = session.observe(hosts)
            refuse_if_unfinished(observed)
            target = _to_release(session, observed, to, Path(folder)) if to else session.rollback_target(observed)
            target = replace(target, plan=replace(target.plan, missing=_missing(session, hosts)))
            if target.plan.empty:
                return reporter.answer(f"nothing to do: {session.name} serves {target.plan.release}", summary(target))
            session.carry_out(steps(session, target), closing(target), run, target)
        _answer(session, target)
    return None


def steps(session: Session, target: Target) -> list[Step]:
    """The steps of a rollback of any kind, whether it begins now or goes on."""
    if target.plan.at is not None:
        return physical_steps(session, target, None)
    if target.plan.point is not None:
        return restore_steps(session, target, session.recovery.catalogue.find(str(target.plan.point)))
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


def restore_steps(session: Session, target: Target, point: RecoveryPoint) -> list[Step]:
    """Back to a backup, from top to bottom: everything beside first, then frozen for as long as the exchange takes."""
    from fabfile.steps import process, record, recovery, release, traffic

    if point.pgbackrest is not None:
        return physical_steps(session, target, point)
    scope = session.recovery
    database = recovery.has_database(point)
    files = any(point.files(app.host) is not None for app in target.plan.apps)
    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-rollback", target),
        *([recovery.load_database(scope, target, point)] if database else []),
        *([recovery.load_files(scope, target, point)] if files else []),
        release.upload(target),
        release.unpack(target),
        release.place(target),
        traffic.freeze(target),
        process.quiesce(target),
        recovery.backup(scope, target, f"safety before rollback to {point.number}"),
        *([recovery.swap_database(scope, target)] if database else []),
        *([recovery.swap_files(target)] if files else []),
        process.start(target),
        process.prove(target),
        traffic.reach(target),
        traffic.site(target),
        traffic.switch(target, frozen=True),
        traffic.confirm(target),
    ]
    return [step for step in table if step.hosts]


def physical_steps(session: Session, target: Target, point: RecoveryPoint | None) -> list[Step]:
    """The whole database server back, to a backup with its files or to a moment with the files as they are."""
    from fabfile.steps import physical, process, record, recovery, release, traffic

    scope, engine = session.recovery, session.point_in_time
    files = point is not None and any(point.files(app.host) is not None for app in target.plan.apps)
    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-rollback", target),
        physical.copy(engine, target, point.pgbackrest if point else None),
        *([recovery.load_files(scope, target, point)] if point and files else []),
        release.upload(target),
        release.unpack(target),
        release.place(target),
        traffic.freeze(target),
        process.quiesce(target),
        physical.seal(engine, target),
        physical.exchange(engine, target),
        *([recovery.swap_files(target)] if files else []),
        process.start(target),
        process.prove(target),
        traffic.reach(target),
        traffic.site(target),
        traffic.switch(target, frozen=True),
        traffic.confirm(target),
    ]
    return [step for step in table if step.hosts]


def restore_closing(target: Target) -> list[Step]:
    """From the moment users write again nothing is taken back, or what they wrote would be lost."""
    from fabfile.steps import traffic

    return [traffic.unfreeze(target), *closing(target)]


def restore_closing_or_usual(target: Target) -> list[Step]:
    """What ends a rollback of any kind."""
    plan = target.plan
    return closing(target) if plan.point is None and plan.at is None else restore_closing(target)


def _to_release(session: Session, observed: Mapping[str, Observed], to: str, folder: Path) -> Target:
    known = {name: seen.bad[to] for name, seen in observed.items() if to in seen.bad}
    if known:
        raise Refused(
            f"{to} is marked bad",
            f"to serve it all the same: inv deploy --release={to}",
            [f"{name}: {why}" for name, why in known.items()],
        )
    archive = session.kept_release(to, observed, folder)
    plan = plan_deploy(
        observed.values(), session.environment, archive.manifest.id, session.configuration, session.templates
    )
    return session.deploy_target(archive, observed, replace(plan, verb="rollback"))


def _to_backup(session: Session, reference: str, wait: float, yes: bool, folder: Path) -> None:
    point = session.recovery.catalogue.find(reference)
    archive = _fetch(session, point, folder)
    session.confirm(yes, preview(point), always=True)
    with session.lease("rollback", f"rollback to backup {point.number}", wait) as run:
        observed = session.observe()
        refuse_if_unfinished(observed)
        plan = plan_deploy(
            observed.values(),
            session.environment,
            archive.manifest.id,
            session.configuration,
            session.templates,
            kind="restore",
        )
        target = session.deploy_target(archive, observed, replace(plan, verb="rollback", point=point.number))
        session.carry_out(restore_steps(session, target, point), restore_closing(target), run, target)
    _answer(session, target)


def _to_moment(session: Session, at: str, to: str | None, wait: float, yes: bool, folder: Path) -> None:
    from fabfile.model.observed import live_release
    from fabfile.model.recovery_point import utc
    from fabfile.planning.point_in_time import parse_moment

    engine = session.point_in_time
    cluster = engine.look()
    moment = parse_moment(at, cluster.now)
    engine.base_for(cluster, moment)
    session.confirm(yes, preview_moment(utc(moment), cluster.databases), always=True)
    with session.lease("rollback", f"rollback to {utc(moment)}", wait) as run:
        observed = session.observe()
        refuse_if_unfinished(observed)
        release = to or live_release(observed.values())
        if release is None:
            raise Refused(f"{session.name} serves no release yet", "name one that the hosts keep: --to=RELEASE")
        archive = session.kept_release(release, observed, folder)
        plan = plan_deploy(
            observed.values(),
            session.environment,
            archive.manifest.id,
            session.configuration,
            session.templates,
            kind="restore",
        )
        target = session.deploy_target(archive, observed, replace(plan, verb="rollback", at=moment.isoformat()))
        session.carry_out(physical_steps(session, target, None), restore_closing(target), run, target)
    _answer(session, target)


def preview_moment(moment: str, databases: Sequence[str]) -> str:
    """What going back to a moment means."""
    return (
        f"The whole PostgreSQL server goes back to {moment}, with every database on it: {', '.join(databases)}. What "
        "was written since leaves it; the former server's directory is kept beside. Shared files stay as they are."
    )


def preview(point: RecoveryPoint) -> str:
    """What going back to this backup means."""
    rows = f" and {sum(point.database.tables.values())} rows" if point.database else ""
    rows += " and the whole PostgreSQL server, every database of it" if point.pgbackrest else ""
    return (
        f"Backup {point.number} of {point.created_at}: release {point.release}{rows}. "
        "Everything written since then leaves the live database and files; both are kept beside, and a safety backup "
        "is taken first."
    )


def _fetch(session: Session, point: RecoveryPoint, folder: Path) -> Release:
    """The backup's release archive, downloaded and identified."""
    from fabfile.artifact.identify import identify
    from fabfile.model.recovery_point import RELEASE
    from fabfile.recovery.integrity import Checked

    part = point.part(RELEASE)
    if part is None or point.release is None:
        raise BadInput(f"backup {point.number} holds no release", "choose a full backup: inv backup.list")
    path = folder / f"{point.release}.tar.zst"
    with path.open("wb") as file:
        for chunk in Checked(session.recovery.catalogue.store, part):
            file.write(chunk)
    return identify(path, point.release, part.sha256)


def _answer(session: Session, target: Target) -> None:
    session.reporter.answer(f"{session.name} serves {target.plan.release}", summary(target))


def _missing(session: Session, hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in session.environment.run_hosts if name not in hosts)
