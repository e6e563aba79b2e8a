"""Steps that bring a whole database server back: a copy beside it first, then exchanged by its directory."""

from __future__ import annotations

from datetime import datetime

from fabfile.database.pgbackrest import PgBackRest
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.model.recovery_point import PhysicalBackup, utc
from fabfile.steps.target import Target


def copy(engine: PgBackRest, target: Target, backup: PhysicalBackup | None) -> OperatorStep:
    """Make a copy of the server as of `backup`, else of the plan's moment, at a port of its own; taken back by removing
    it."""
    moment = datetime.fromisoformat(target.plan.at) if target.plan.at else None
    assert backup or moment

    def work(run: Run) -> None:
        cluster, place = engine.look(), engine.place()
        engine.require_rights(place)
        engine.drop(place, place.copy(target.run))
        if backup:
            base = engine.base_of(cluster, backup)
        else:
            assert moment
            base = engine.base_for(cluster, moment)
        made = engine.copy(cluster, place.copy(target.run), base, moment)
        found = made.restored
        last = utc(found.reached) if found.reached else "the backup's own"
        run.emit(
            Note(f"from {base.label}; its last change is {last}; {found.tables} tables, {found.size / 1e6:.0f} MB")
        )

    def take_back(run: Run) -> None:
        place = engine.place()
        engine.drop(place, place.copy(target.run))

    what = f"backup {target.plan.point}" if backup else utc(moment or datetime.min)
    title = f"restore the server as of {what} beside the live one, and start it there"
    return OperatorStep("copy-db", title, _hosts(target), work, take_back)


def seal(engine: PgBackRest, target: Target) -> OperatorStep:
    """Have every change up to now archived, so that this moment can be reached, too; it stays, whatever follows."""
    title = "archive every change up to now"
    return OperatorStep("seal", title, _hosts(target), lambda run: engine.check(engine.look()))


def exchange(engine: PgBackRest, target: Target) -> OperatorStep:
    """Exchange the servers' directories by rename; the former one is kept, and exchanged again to take back."""

    def work(run: Run) -> None:
        place = engine.place()
        seconds = engine.exchange(place, place.copy(target.run), place.kept(target.run))
        run.emit(Note(f"{seconds:.1f} s without a database; the former one is kept as {place.kept(target.run)}"))

    def take_back(run: Run) -> None:
        place = engine.place()
        engine.exchange_back(place, place.copy(target.run), place.kept(target.run))

    title = "stop both servers, exchange their directories, start"
    return OperatorStep("swap-server", title, _hosts(target), work, take_back)


def _hosts(target: Target) -> tuple[str, ...]:
    return tuple(app.host for app in target.plan.apps)
