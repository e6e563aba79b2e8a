"""Backups within a run, and the steps that bring database and files back to one: beside first, then swapped."""

from __future__ import annotations

from collections.abc import Iterable

from fabfile.commands import shared_files
from fabfile.database.port import Database
from fabfile.engine.events import Counted, Note
from fabfile.engine.run import Run
from fabfile.engine.step import HostStep, OperatorStep
from fabfile.errors import DatabaseError, StorageError
from fabfile.model.paths import Paths
from fabfile.model.recovery_point import Kind, RecoveryPoint
from fabfile.model.restore import Restore, beside_database, kept_database
from fabfile.recovery import capture, copying, restore, verify
from fabfile.recovery.scope import Scope
from fabfile.remote.fleet import Fleet
from fabfile.remote.port import Host
from fabfile.steps.target import Target


def backup(scope: Scope, target: Target, reason: str = "", kind: Kind = "full") -> OperatorStep:
    """Take a backup before anything changes; it stays, whatever becomes of the run."""
    reason = reason or f"before {target.plan.verb} of {target.plan.release}"
    live = target.plan.previous_release

    def work(run: Run) -> None:
        run.emit(Note(described(save(scope, kind, reason, target.run, live))))

    hosts = _hosts(target)
    what = "database and files" if kind == "full" else kind
    return OperatorStep("backup", f"back up {what} ({reason})", hosts, work)


def save(
    scope: Scope,
    kind: Kind,
    reason: str,
    run: str,
    release: str | None,
    *,
    label: str | None = None,
    keep_forever: bool = False,
) -> RecoveryPoint:
    """Take one backup and list it."""
    return capture.capture(scope, kind, reason, run, release, label=label, keep_forever=keep_forever)


def complete_copy(scope: Scope, point: RecoveryPoint | None = None) -> tuple[int, ...]:
    """Bring the second bucket, if there is one, what it lacks; an error tells of `point`, which is safe, as well."""
    if scope.copy is None:
        return ()
    try:
        return copying.complete(scope.catalogue, scope.copy)
    except StorageError as error:
        error.details = (*([described(point)] if point else []), *error.details)
        raise


def described(point: RecoveryPoint) -> str:
    """One line about a backup."""
    rows = f", {sum(point.database.tables.values())} rows" if point.database else ""
    return f"backup {point.number}: {point.size / 1e6:.2f} MB stored{rows}, {point.seconds:.1f} s"


def create_database(scope: Scope, target: Target) -> OperatorStep:
    """Make the live database, as empty as it was, where there is none. That is not taken back: it overwrites nothing,
    and whether one that is found later is still ours nobody could tell."""
    database, number = _database(scope), _point(target)

    def work(run: Run) -> None:
        facts = scope.catalogue.find(str(number)).database
        assert facts, "a backup with a dump has its facts"
        database.create(database.live, facts.owner, facts.encoding)

    title = f"make the database {database.live} where there is none (it stays, empty, if this is undone)"
    return OperatorStep("create-db", title, _hosts(target), work)


def vacant(scope: Scope, target: Target) -> OperatorStep:
    """See that the live database is still empty: a run on other machines holds another lease and may be quicker."""
    database = _database(scope)

    def work(run: Run) -> None:
        if tables := database.describe(database.live).tables:
            raise DatabaseError(
                f"the database {database.live} has got {len(tables)} tables meanwhile and is not overwritten",
                "find out who fills it: SELECT * FROM pg_stat_activity",
            )

    return OperatorStep("vacant", f"see that the database {database.live} is still empty", _hosts(target), work)


def load_database(scope: Scope, target: Target) -> OperatorStep:
    """Restore the dump into a new database beside the live one and ask it what the environment wants asked; taken back
    by dropping it."""
    smoke = scope.environment.smoke
    database, beside, number = _database(scope), beside_database(_database(scope).live, target.run), _point(target)

    def work(run: Run) -> None:
        point = scope.catalogue.find(str(number))
        database.drop(beside)
        database.create_beside(beside, database.live)
        restore.load_database(scope, point, beside)
        assert point.database, "a backup with a dump has its facts"
        restored = database.describe(beside)
        if wrong := verify.differences(point.database, restored) + verify.objections(database, smoke, beside):
            raise DatabaseError(
                f"backup {number} is not what it should be once restored", "choose another: inv backup.list", wrong[:20]
            )
        run.emit(Counted(restored.tables))

    title = f"restore the database of backup {number} beside the live one"
    return OperatorStep("load-db", title, _hosts(target), work, lambda run: database.drop(beside))


def load_files(scope: Scope, target: Target) -> OperatorStep:
    """Unpack the shared files beside the live ones on every host; taken back by removing them."""
    number = _point(target)

    def work(run: Run) -> None:
        point = scope.catalogue.find(str(number))
        run.fleet.each(_hosts(target), lambda host: restore.load_files(scope, point, host.name, target.run))

    def take_back(run: Run) -> None:
        def drop(host: Host) -> None:
            host.run(shared_files.drop_beside(target.paths, target.run))

        run.fleet.each([name for name in _hosts(target) if name not in run.stuck], drop)

    title = f"unpack the shared files of backup {number} beside the live ones"
    return OperatorStep("load-files", title, _hosts(target), work, take_back)


def swap_database(scope: Scope, target: Target) -> OperatorStep:
    """Exchange the databases by name in one transaction; the former one is kept, and exchanged again to take back."""
    database, undoes = _database(scope), _restore(target).undoes
    live, kept = database.live, kept_database(database.live, target.run)
    coming = kept_database(live, undoes) if undoes else beside_database(live, target.run)

    def work(run: Run) -> None:
        if not undoes and database.exists(coming):  # what an undo brings back has its own settings and grants
            database.carry_over(live, coming)
        database.swap(live, coming, kept)
        run.emit(Note(f"the former database is kept as {kept}"))

    def take_back(run: Run) -> None:
        try:
            if database.exists(kept):
                database.swap(live, kept, coming)
            else:
                database.open(live)
        except BaseException:
            # Nobody may write to a database that is still to be taken back: all hosts stay frozen.
            run.stuck.update(target.plan.hosts)
            raise

    return OperatorStep("swap-db", "exchange the databases in one transaction", _hosts(target), work, take_back)


def swap_files(target: Target) -> HostStep:
    """Exchange the shared directories by rename; the former one is kept beside."""
    undoes = _restore(target).undoes
    doing = shared_files.swap_shared(target.paths, target.run, undoes)
    undoing = shared_files.unswap_shared(target.paths, target.run, undoes)
    hosts = _hosts(target)
    title = "exchange the shared directories by rename"
    return HostStep("swap-files", title, dict.fromkeys(hosts, doing), dict.fromkeys(hosts, undoing))


def left_exchanged(scope: Scope, target: Target) -> list[str]:
    """What of an exchange that was taken back is still to be seen in the database, in words."""
    if not _restore(target).database:
        return []
    database = _database(scope)
    kept = kept_database(database.live, target.run)
    return [f"the database that was live is still kept as {kept}"] if database.exists(kept) else []


def kept_on_hosts(fleet: Fleet, paths: Paths, hosts: Iterable[str]) -> dict[str, dict[str, int]]:
    """The shared files that restores kept: bytes on disk by run, by host. Raises FleetError."""
    script = shared_files.list_kept(paths)
    return fleet.each(hosts, lambda host: shared_files.parse_kept(host.run(script).stdout))


def _restore(target: Target) -> Restore:
    assert target.plan.restore, "these steps are only planned where something is restored"
    return target.plan.restore


def _point(target: Target) -> int:
    point = _restore(target).point
    assert point is not None, "only what a backup holds is loaded"
    return point


def _database(scope: Scope) -> Database:
    assert scope.database, "a step about the database is only planned where there is one"
    return scope.database


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(app.host for app in target.plan.apps)
