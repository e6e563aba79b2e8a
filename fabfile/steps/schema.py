"""The database's schema follows the release: SQL files applied before it starts, and those that had to wait for it."""

from __future__ import annotations

from collections.abc import Callable

from fabfile.artifact.archive import Release
from fabfile.artifact.migrations import read_release
from fabfile.database.port import Ledger
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.migration import Migration
from fabfile.steps.target import Target


def migrate(ledger: Callable[[], Ledger], target: Target) -> OperatorStep:
    """Apply what is pending. What is applied stays, whatever becomes of the run: the release that runs does not mind,
    and taking it back would lose rows."""
    names = target.plan.migrations

    def take_back(run: Run) -> None:
        for line in _stays(ledger, target):
            run.emit(Note(line))

    return OperatorStep(
        "migrate",
        f"apply to the database (it stays): {_listed(names)}",
        *_parts(ledger, target, names),
        take_back,
        _sql(target, names),
    )


def contract(ledger: Callable[[], Ledger], target: Target) -> OperatorStep:
    """Apply what takes away things that the former release needed; it runs nowhere any more."""
    names = target.plan.contracts
    title = f"apply to the database, now that the former release is gone: {_listed(names)}"
    hosts, apply = _parts(ledger, target, names)

    def work(run: Run) -> None:
        try:
            apply(run)
        except TurnoutError as error:
            error.details = (*error.details, "what is not applied may wait; later: inv migrate")
            raise

    return OperatorStep("contract", title, hosts, work, None, _sql(target, names))


def _parts(
    ledger: Callable[[], Ledger], target: Target, names: tuple[str, ...]
) -> tuple[tuple[str, ...], Callable[[Run], None]]:
    def work(run: Run) -> None:
        ledger().apply(_migrations(target, names), target.plan.release, target.run, lambda line: run.emit(Note(line)))

    return tuple(app.host for app in target.plan.apps), work


def _migrations(target: Target, names: tuple[str, ...]) -> list[Migration]:
    settings = target.environment.migrations
    if settings is None:
        raise BadInput(f"hosts/{target.name}.yml has no migrations section any more", "put it back: the run needs it")
    assert target.archive and target.manifest, "a run that goes on has its release"
    found = read_release(Release(target.archive, target.manifest), settings.folder)
    return [migration for migration in found if migration.name in names]


def _stays(ledger: Callable[[], Ledger], target: Target) -> list[str]:
    """What this run has left in the database; that it cannot be asked must not keep the rest from being undone."""
    try:
        applied = [row.name for row in ledger().applied() if row.run == target.run]
    except TurnoutError as error:
        return [f"what this run applied to the database stays; the database cannot be asked what: {error.fact}"]
    if not applied:
        return ["the database is as it was: this run has applied no migration"]
    return [f"stays in the database: {_listed(applied)}; on request it is taken back: inv migrate.down"]


def _sql(target: Target, names: tuple[str, ...]) -> str:
    """The files, for a plan."""
    if target.archive is None or target.environment.migrations is None:
        return ""
    return "".join(f"-- {one.name}.sql\n{one.sql.rstrip()}\n" for one in _migrations(target, names))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(names)
