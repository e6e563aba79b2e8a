"""`inv rollback --backup=N` and `--undo`: files, database and release go back together, and what was there is kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.deploy import closing as usual_closing
from fabfile.deploy import summary
from fabfile.errors import DatabaseError, Refused
from fabfile.model.restore import Restore, beside_database, beside_files, kept_database, kept_files
from fabfile.planning.deploy_plan import plan_deploy, plan_stay
from fabfile.planning.restorable import what_is_missing
from fabfile.planning.restore_preview import (
    choose,
    last_restore,
    refuse_if_files_gone,
    refuse_if_no_room,
    since,
    what_differs,
)
from fabfile.planning.unfinished import refuse_if_unfinished

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.artifact.archive import Release
    from fabfile.engine.step import Step
    from fabfile.model.observed import Observed
    from fabfile.model.recovery_point import DatabaseFacts, RecoveryPoint
    from fabfile.planning.restore_preview import Choice
    from fabfile.session import Session
    from fabfile.steps.target import Target


def steps(session: Session, target: Target) -> list[Step]:
    """A restore from top to bottom: everything beside first, then frozen for as long as the exchange takes."""
    from fabfile.steps import physical, process, record, recovery, release, traffic

    restore, scope, stays = target.plan.restore, session.recovery, target.plan.kind == "stay"
    assert restore
    loads, engine = not restore.undoes, session.point_in_time if restore.server else None
    fill: list[Step] = [release.upload(target), release.unpack(target), release.place(target)]
    switch: list[Step] = [traffic.site(target), traffic.switch(target, frozen=True), traffic.confirm(target)]
    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-rollback", target),
        *([recovery.load_database(scope, target)] if loads and restore.database else []),
        *([physical.load(engine, scope, target)] if engine and loads else []),
        *([recovery.load_files(scope, target)] if loads and restore.files else []),
        *([] if stays else fill),
        *_rehearsal(session, target),
        *_safety(session, target),
        traffic.freeze(target),
        process.quiesce(target),
        *([recovery.swap_database(scope, target)] if restore.database else []),
        *([physical.archive(engine, target)] if engine and loads else []),
        *([physical.exchange(engine, target)] if engine else []),
        *([recovery.swap_files(target)] if restore.files else []),
        process.start(target),
        process.prove(target),
        traffic.reach(target),
        *([] if stays else switch),
        record.seal(target),
    ]
    return [step for step in table if step.hosts]


def closing(target: Target) -> list[Step]:
    """From the moment users write again nothing is taken back, or what they wrote would be lost."""
    from fabfile.steps import traffic

    return [traffic.unfreeze(target), *usual_closing(target)]


def to_backup(
    session: Session, reference: str, files_only: bool, db_only: bool, wait: float, yes: bool, folder: Path
) -> None:
    """Go back to a backup, or to the half of it that is wanted, once its preview was confirmed."""
    point = session.recovery.catalogue.find(reference)
    choice = choose(point, files_only, db_only, session.database is not None)
    observed = session.observe()
    refuse_if_unfinished(observed)
    smoke, said = _smoke(session, choice, observed)
    say(session, [*_preview(session, observed, point, choice), said])
    session.confirm(yes, f"{session.name} is about to go back to backup {point.number}.", always=True)
    archive = session.stored_release(str(point.release), folder) if choice.release else None
    exchange(session, replace(choice.restore, smoke=smoke), archive, wait, folder)


def _safety(session: Session, target: Target) -> list[Step]:
    """A backup of what is about to go. A whole server needs none: its directory is kept, every change to it archived,
    and one that is damaged might not let itself be backed up."""
    from fabfile.steps import recovery

    restore, scope = target.plan.restore, session.recovery
    assert restore
    reason = f"safety before {restore.sentence}"
    if restore.server:
        return [recovery.backup(scope, target, reason, kind="files")] if restore.files else []
    return [recovery.backup(scope, target, reason)]


def _rehearsal(session: Session, target: Target) -> list[Step]:
    """The release tried out where nobody sees it, on the database that was just loaded, with the files loaded with it;
    without such files it gets empty ones, because it might tidy up the live ones by what it finds in the database."""
    from fabfile.config.database_url import with_database
    from fabfile.steps import scratch

    restore, environment, paths = target.plan.restore, session.environment, target.paths
    if not (restore and restore.smoke and environment.database):
        return []
    shared = f"{paths.root}/{beside_files(target.run)}" if restore.files else f"{paths.scratch(target.run)}/shared"
    if target.manifest is None:  # it is only taken back
        return [scratch.smoke(target, {}, shared)]
    beside = beside_database(environment.database.name, target.run)
    return [scratch.smoke(target, with_database(environment.database, session.sources.application, beside), shared)]


def _smoke(session: Session, choice: Choice, observed: Mapping[str, Observed]) -> tuple[bool, str]:
    """Whether the release is tried out on the restored database first, and what to say about that."""
    from fabfile.config.database_url import with_database

    settings, first = session.environment.database, observed[session.environment.app_hosts[0]]
    if choice.restore.server:
        return False, "the release is not tried out first: a copy of the server can be reached on its own host alone"
    if not choice.restore.database or settings is None:
        return False, "the release is not tried out first: the database stays the one that it has"
    if settings.url_variable is None:
        return False, "the release is not tried out on the restored database first: database.url_variable is not set"
    if not choice.release and first.live_release not in first.releases:
        return False, f"{first.live_release} is not tried out first: {first.host} keeps no archive of it"
    with_database(settings, session.sources.application, settings.name)
    return True, f"the release is tried out on the restored database, on {first.host}, before users are sent away"


def exchange(session: Session, restore: Restore, archive: Release | None, wait: float, folder: Path) -> None:
    """Carry a restore out under the lease; an archive's release comes to the idle slots, else the live one stays.

    Raises Refused where meanwhile a run has stopped half-way, or another restore has ended.
    """
    with session.lease("rollback", restore.sentence, wait) as run:
        observed = session.observe()
        refuse_if_unfinished(observed)
        if restore.undoes:
            if last_restore(observed.values()).run != restore.undoes:
                raise Refused("another restore has ended meanwhile", "look again: inv rollback --undo")
            refuse_if_gone(session, restore)
        target = _target(session, restore, observed, archive)
        if restore.smoke and archive is None:
            target = replace(target, manifest=session.kept_release(target.plan.release, observed, folder).manifest)
        session.carry_out(steps(session, target), closing(target), run, target)
    _answer(session, target)


def _target(session: Session, restore: Restore, observed: Mapping[str, Observed], archive: Release | None) -> Target:
    if archive is None:
        return session.target_of(plan_stay(observed.values(), session.environment, restore), observed)
    plan = plan_deploy(
        observed.values(),
        session.environment,
        archive.manifest.id,
        session.configuration,
        session.templates,
        restore=restore,
    )
    return session.deploy_target(archive, observed, replace(plan, verb="rollback"))


def _preview(session: Session, observed: Mapping[str, Observed], point: RecoveryPoint, choice: Choice) -> list[str]:
    restore, now, server = choice.restore, datetime.now(UTC), point.pgbackrest
    safe = "" if restore.server and not restore.files else "; a safety backup is taken as well"
    live = next((seen.live_release for seen in observed.values() if seen.live_release), "nothing")
    release = f"{live} now, {point.release} then" if choice.release else f"{live} stays"
    lines = [
        f"backup {point.number} ({point.kind}, {point.reason}) brings back {halves(restore)}",
        *choice.notes,
        f"release: {release}",
        f"lost to users: {since(server.stopped_at if server and restore.server else point.created_at, now)}",
        f"kept beside until inv backup.drop-old: {kept_as(session, restore)}{safe}",
    ]
    if restore.database and not choice.release and session.environment.migrations:
        lines.append("the live release may have come with migrations since then: apply them again with inv migrate")
    if restore.server:
        lines.append(f"every database on the server goes back: {', '.join(session.point_in_time.look().databases)}")
    for name in session.environment.app_hosts:
        if restore.files and (part := point.files(name)):  # packed; how much it is unpacked nobody knows
            refuse_if_no_room(f"the shared files of {name}", part.size, observed[name].free_bytes)
    if restore.database and point.database and session.database:
        refuse_if_no_room("the database", point.database.size_bytes, session.database.free_bytes())
        if missing := what_is_missing(point.database, session.database.server()):
            raise Refused(f"backup {point.number} cannot be restored on this server", "give it what it lacks", missing)
        if live_facts := describe_live(session, lines):
            lines += what_differs(point.database.tables, live_facts.tables)
    return lines


def describe_live(session: Session, lines: list[str]) -> DatabaseFacts | None:
    """What the live database holds; a preview must not fail because it is broken, which may be why it is restored."""
    assert session.database
    try:
        return session.database.describe(session.database.live)
    except DatabaseError as error:
        lines.append(f"warning: the live database cannot be read, so nothing is compared: {error.fact}")
        return None


def refuse_if_gone(session: Session, restore: Restore) -> None:
    """Raise Refused unless all that the restore to undo put aside is still there."""
    from fabfile.steps.recovery import kept_on_hosts

    if restore.database:
        if session.database is None:
            raise Refused(
                "the last restore was one of a database, and the environment has none now", "restore it there"
            )
        name = kept_database(session.database.live, restore.undoes)
        if not session.database.exists(name):
            raise Refused(
                f"the database {name} is not there any more, so the last restore cannot be undone",
                "its safety backup holds the rows: inv backup.list, then inv rollback --backup=N",
            )
    if restore.server:
        engine = session.point_in_time
        place = engine.place()
        if ("before", restore.undoes) not in [(one.purpose, one.run) for one in engine.beside(place)]:
            raise Refused(
                f"{place.beside('before', restore.undoes)} is not there any more, so the last restore cannot be undone",
                "an earlier backup is another way back: inv backup.list, then inv rollback --backup=N",
            )
    if restore.files:
        hosts = session.environment.app_hosts
        refuse_if_files_gone(restore.undoes, hosts, kept_on_hosts(session.fleet, session.paths, hosts))


def halves(restore: Restore) -> str:
    """What is exchanged, in words."""
    return " and ".join(
        what
        for what, there in (
            ("the database", restore.database),
            ("the whole database server", restore.server),
            ("the shared files", restore.files),
        )
        if there
    )


def kept_as(session: Session, restore: Restore) -> str:
    """The names under which a restore by this session keeps what it puts aside."""
    names = [kept_files(session.run_id)] if restore.files else []
    if restore.database and session.database:
        names.insert(0, kept_database(session.database.live, session.run_id))
    if restore.server:
        names.insert(0, f"the server's directory with .before-{session.run_id} behind its name")
    return " and ".join(names)


def say(session: Session, lines: list[str]) -> None:
    """Tell the lines of a preview."""
    for line in lines:
        session.reporter.say(line)


def _answer(session: Session, target: Target) -> None:
    restore = target.plan.restore
    assert restore
    kept = kept_as(session, restore)
    session.reporter.answer(
        f"{session.name} serves {target.plan.release}; what was there before is kept as {kept}: "
        "inv rollback --undo brings it back, inv backup.drop-old drops it",
        {**summary(target), "kept": kept},
    )
