"""Steps that bring a whole database server back: a copy beside it first, then exchanged by its directory."""

from __future__ import annotations

from datetime import datetime

from fabfile.database.pgbackrest import PgBackRest
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.errors import DatabaseError
from fabfile.model.cluster import Base, Cluster, Place
from fabfile.model.recovery_point import utc
from fabfile.model.restore import Restore
from fabfile.recovery.scope import Scope
from fabfile.recovery.verify import objections
from fabfile.steps.target import Target


def load(engine: PgBackRest, scope: Scope, target: Target) -> OperatorStep:
    """Make a copy of the server as of a backup or a moment, at a port of its own, and ask it what the environment wants
    asked; taken back by removing it."""
    restore = _restore(target)

    def work(run: Run) -> None:
        cluster, place = engine.look(), engine.place()
        engine.require_rights(place)
        coming = _coming(target, place)
        engine.drop(place, coming)
        base, moment = _start(engine, scope, restore, cluster)
        found = engine.copy(cluster, coming, base, moment).restored
        database = engine.asked(found.port)
        if wrong := objections(database, scope.environment.smoke, database.live):
            raise DatabaseError("the restored server is not what it should be", "choose another time", wrong[:20])
        last = utc(found.reached) if found.reached else "the backup's own"
        size = f"{found.tables} tables, {found.size / 1e6:.0f} MB"
        run.emit(Note(f"from {base.label}; its last change is {last}; {size}"))

    def take_back(run: Run) -> None:
        place = engine.place()
        engine.drop(place, _coming(target, place))

    what = restore.at or f"backup {restore.point}"
    title = f"restore the server as of {what} beside the live one, and start it there"
    return OperatorStep("load-server", title, _hosts(target), work, take_back)


def archive(engine: PgBackRest, target: Target) -> OperatorStep:
    """Have every change up to now archived, so that this moment can be reached, too; it stays, whatever follows."""
    title = "archive every change up to now"
    return OperatorStep("archive", title, _hosts(target), lambda run: engine.check(engine.look()))


def exchange(engine: PgBackRest, target: Target) -> OperatorStep:
    """Exchange the servers' directories by rename; the former one is kept, and exchanged again to take back."""

    def work(run: Run) -> None:
        place = engine.place()
        engine.require_rights(place)
        seconds = engine.exchange(place, _coming(target, place), place.beside("before", target.run))
        run.emit(Note(f"{seconds:.1f} s without a database; the former one is kept as {_kept(target, place)}"))

    def take_back(run: Run) -> None:
        try:
            place = engine.place()
            engine.exchange_back(place, _coming(target, place), _kept(target, place))
        except BaseException:
            # Nobody may write to a server that is still to be taken back: all hosts stay frozen.
            run.stuck.update(target.plan.hosts)
            raise

    title = "stop both servers, exchange their directories, start"
    return OperatorStep("swap-server", title, _hosts(target), work, take_back)


def left_exchanged(engine: PgBackRest, target: Target) -> list[str]:
    """What of an exchange that was taken back is still to be seen beside the server, in words."""
    place = engine.place()
    kept = [one for one in engine.beside(place) if (one.purpose, one.run) == ("before", target.run)]
    return [f"the server that was live is still kept as {_kept(target, place)}" for _ in kept]


def _start(engine: PgBackRest, scope: Scope, restore: Restore, cluster: Cluster) -> tuple[Base, datetime | None]:
    """What the copy is made from, and up to which moment it is replayed (None: the backup's own end)."""
    if restore.at:
        moment = datetime.fromisoformat(restore.at)
        return engine.base_for(cluster, moment), moment
    backup = scope.catalogue.find(str(restore.point)).pgbackrest
    assert backup, "a server is only brought back to a backup that holds one"
    return engine.base_of(cluster, backup), None


def _coming(target: Target, place: Place) -> str:
    """The directory that takes the live one's place: the copy, or what an earlier run kept."""
    undoes = _restore(target).undoes
    return place.beside("before", undoes) if undoes else place.beside("restore", target.run)


def _kept(target: Target, place: Place) -> str:
    return place.beside("before", target.run)


def _restore(target: Target) -> Restore:
    assert target.plan.restore, "these steps are only planned where something is restored"
    return target.plan.restore


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(app.host for app in target.plan.apps)
