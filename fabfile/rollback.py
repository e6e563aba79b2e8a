"""`inv rollback`: back to the other slot, or back to a backup with files and database together."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.deploy import closing
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from fabfile.artifact.archive import Release
    from fabfile.engine.step import Step
    from fabfile.model.recovery_point import RecoveryPoint
    from fabfile.session import Session
    from fabfile.steps.target import Target


@verb(
    help={
        "env": ENV,
        "backup": "a backup's number, or latest: bring files and database back to it (see inv backup.list)",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def rollback(
    reporter: Reporter,
    env: str | None = None,
    backup: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Go back to the release in the other slot; with --backup=N to that backup's release, files and database."""
    from fabfile.session import opened

    wait = duration(lock_wait, "--lock-wait")
    with opened(env, reporter) as session:
        if backup is not None:
            return _to_backup(session, backup, wait, yes)
        session.confirm(yes, f"{session.name} is about to go back to the release in its other slot.")
        with session.lease("rollback", "rollback", wait) as run:
            before = session.observe()
            target = session.rollback_target(before)
            session.carry_out(quick_steps(target), closing(target), run, before)
        _answer(session, target)
    return None


def quick_steps(target: Target) -> list[Step]:
    """Back to the other slot, from top to bottom."""
    from fabfile.steps import process, traffic

    table: list[Step] = [
        process.start(target),
        process.prove(target),
        traffic.site(target),
        traffic.switch(target),
        traffic.drain(target),
        process.settle(target),
    ]
    return [step for step in table if step.hosts]


def restore_steps(session: Session, target: Target, point: RecoveryPoint) -> list[Step]:
    """Back to a backup, from top to bottom: everything beside first, then frozen for as long as the exchange takes."""
    from fabfile.steps import process, recovery, release, traffic

    scope = session.recovery
    database = recovery.has_database(point)
    files = bool(target.plan.hosts) and point.files(target.plan.hosts[0].host) is not None
    table: list[Step] = [
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
        traffic.site(target),
        traffic.switch(target, frozen=True),
    ]
    return [step for step in table if step.hosts]


def restore_closing(target: Target) -> list[Step]:
    """From the moment users write again nothing is taken back, or what they wrote would be lost."""
    from fabfile.steps import traffic

    return [traffic.unfreeze(target), *closing(target)]


def _to_backup(session: Session, reference: str, wait: float, yes: bool) -> None:
    point = session.recovery.catalogue.find(reference)
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        archive = _fetch(session, point, Path(folder))
        session.confirm(yes, preview(point), always=True)
        with session.lease("rollback", f"rollback to backup {point.number}", wait) as run:
            before = session.observe()
            target = session.deploy_target(archive, before, restore=True)
            session.carry_out(restore_steps(session, target, point), restore_closing(target), run, before)
    _answer(session, target)


def preview(point: RecoveryPoint) -> str:
    """What going back to this backup means."""
    rows = f" and {sum(point.database.tables.values())} rows" if point.database else ""
    return (
        f"Backup {point.number} of {point.created_at}: release {point.release}{rows}. "
        "Everything written since then leaves the live database and files; both are kept beside, and a safety backup "
        "is taken first."
    )


def _fetch(session: Session, point: RecoveryPoint, folder: Path) -> Release:
    """The backup's release archive, downloaded and identified."""
    from fabfile.artifact.identify import identify
    from fabfile.errors import BadInput
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
    summary = {"run": target.run, "release": target.plan.release, "hosts": [host.host for host in target.plan.hosts]}
    session.reporter.answer(f"{session.name} serves {target.plan.release}", summary)
