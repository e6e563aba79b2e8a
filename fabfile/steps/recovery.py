"""Backups within a run, and the steps that bring database and files back to one: beside first, then swapped."""

from __future__ import annotations

from fabfile.commands import shared_files
from fabfile.database.port import Database
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.engine.step import HostStep, OperatorStep
from fabfile.errors import DatabaseError, StorageError
from fabfile.model.recovery_point import DATABASE, Kind, RecoveryPoint
from fabfile.recovery import capture, copying, restore
from fabfile.recovery.scope import Scope
from fabfile.remote.port import Host
from fabfile.steps.target import Target


def backup(scope: Scope, target: Target, reason: str = "") -> OperatorStep:
    """Take a full backup before anything changes; it stays, whatever becomes of the run."""
    reason = reason or f"before {target.plan.verb} of {target.plan.release}"
    live = target.plan.previous_release

    def work(run: Run) -> None:
        run.emit(Note(described(save(scope, "full", reason, target.run, live))))

    hosts = _hosts(target)
    return OperatorStep("backup", f"back up database and files ({reason})", hosts, work)


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


def load_database(scope: Scope, target: Target, point: RecoveryPoint) -> OperatorStep:
    """Restore the dump into a new database beside the live one; taken back by dropping it."""
    database, beside = _database(scope), beside_name(scope, target)

    def work(run: Run) -> None:
        database.drop(beside)
        database.create_beside(beside, database.live)
        restore.load_database(scope, point, beside)
        _compare(database, point, beside)

    title = f"restore the database of backup {point.number} beside the live one"
    return OperatorStep("load-db", title, _hosts(target), work, lambda run: database.drop(beside))


def load_files(scope: Scope, target: Target, point: RecoveryPoint) -> OperatorStep:
    """Unpack the shared files beside the live ones on every host; taken back by removing them."""

    def work(run: Run) -> None:
        run.fleet.each(_hosts(target), lambda host: restore.load_files(scope, point, host.name, target.run))

    def take_back(run: Run) -> None:
        def drop(host: Host) -> None:
            host.run(shared_files.drop_beside(target.paths, target.run))

        run.fleet.each(_hosts(target), drop)

    title = f"unpack the shared files of backup {point.number} beside the live ones"
    return OperatorStep("load-files", title, _hosts(target), work, take_back)


def swap_database(scope: Scope, target: Target) -> OperatorStep:
    """Exchange the databases by name in one transaction; the former one is kept, and exchanged again to take back."""
    database, beside, kept = _database(scope), beside_name(scope, target), kept_name(scope, target)

    def work(run: Run) -> None:
        if database.exists(beside):
            database.carry_over(database.live, beside)
        database.swap(database.live, beside, kept)
        run.emit(Note(f"the former database is kept as {kept}"))

    def take_back(run: Run) -> None:
        if database.exists(kept):
            database.swap(database.live, kept, beside)
        else:
            database.open(database.live)

    return OperatorStep("swap-db", "exchange the databases in one transaction", _hosts(target), work, take_back)


def swap_files(target: Target) -> HostStep:
    """Exchange the shared directories by rename; the former one is kept beside."""
    doing = shared_files.swap_shared(target.paths, target.run)
    undoing = shared_files.unswap_shared(target.paths, target.run)
    hosts = _hosts(target)
    title = "exchange the shared directories by rename"
    return HostStep("swap-files", title, dict.fromkeys(hosts, doing), dict.fromkeys(hosts, undoing))


def beside_name(scope: Scope, target: Target) -> str:
    """The database that a restore fills before anybody sees it."""
    return _named(scope, "restore", target)


def kept_name(scope: Scope, target: Target) -> str:
    """The former live database after a restore."""
    return _named(scope, "before", target)


def has_database(point: RecoveryPoint) -> bool:
    """Whether a backup holds a dump."""
    return point.part(DATABASE) is not None


def _named(scope: Scope, purpose: str, target: Target) -> str:
    # PostgreSQL cuts names at 63 bytes; the run's id must survive that.
    ending = f"_{purpose}_{target.run.replace('-', '_').lower()}"
    return _database(scope).live[: 63 - len(ending)] + ending


def _compare(database: Database, point: RecoveryPoint, beside: str) -> None:
    assert point.database
    restored = database.describe(beside).tables
    wrong = [
        f"{table}: {rows} rows in the backup, {restored.get(table, 'no table')} restored"
        for table, rows in point.database.tables.items()
        if restored.get(table) != rows
    ]
    if wrong:
        raise DatabaseError(
            f"backup {point.number} did not restore completely", "choose another: inv backup.list", wrong[:20]
        )


def _database(scope: Scope) -> Database:
    assert scope.database, "a step about the database is only planned where there is one"
    return scope.database


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(app.host for app in target.plan.apps)
