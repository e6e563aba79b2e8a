"""Steps about the database of a recovery: made where there is none, and never written over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fabfile.commands import lease
from fabfile.config.schema import Environment
from fabfile.engine.events import Counted, Event
from fabfile.engine.run import Run
from fabfile.errors import DatabaseError
from fabfile.model.paths import Paths
from fabfile.model.plan import AppPlan, Plan
from fabfile.model.recovery_point import RecoveryPoint
from fabfile.model.restore import Restore
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps.recovery import create_database, load_database, vacant
from fabfile.steps.target import Target
from fabfile.storage.directory import DirectoryStore
from tests.unit.recovery.test_capture_and_restore import FACTS, MemoryDatabase

RUN = "20250131T030000-0a1b"
BESIDE = "app_restore_20250131t030000_0a1b"


@dataclass
class Making(MemoryDatabase):
    """A database server that remembers what was made, and for whom."""

    made: list[tuple[str, str, str]] = field(default_factory=list)

    def create(self, name: str, owner: str, encoding: str) -> None:
        self.made.append((name, owner, encoding))


@dataclass(frozen=True)
class Place:
    scope: Scope
    database: Making
    target: Target
    run: Run
    events: list[Event]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A recovery of the only backup there is, as far as its lease."""
    environment = Environment.model_validate(
        {
            "app": "example",
            "hosts": {"h1": {}},
            "database": {"via": "h1", "name": "app", "user": "turnout", "password": "env:PASSWORD"},
        }
    )
    paths, database = Paths("example", base=str(tmp_path)), Making()
    hosts = {"h1": LocalHost("h1")}
    catalogue = Catalogue(DirectoryStore(tmp_path / "store"), "turnout", "example", "demo")
    scope = Scope(environment, paths, hosts, catalogue, database)
    point: RecoveryPoint = capture(scope, "database", "manual", RUN)
    token = lease.parse_acquired(hosts["h1"].run(lease.acquire(paths, RUN, "ann", "recover", 120)).stdout)
    assert isinstance(token, int)
    events: list[Event] = []
    run = Run(RUN, "recover", Fleet(hosts), paths, {"h1": token}, events.append, LocalHost)
    app = AppPlan("h1", "blue", 3001, "127.0.0.1", None, None, None, True, "node", "pm2")
    plan = Plan("recover", "restore", "1.0", (app,), (), restore=Restore(True, True, point.number))
    yield Place(scope, database, Target(RUN, "demo", "ann", "", plan, environment, paths, {}, "", {}), run, events)


def test_the_database_is_made_for_the_owner_and_encoding_of_the_backup(place: Place) -> None:
    step = create_database(place.scope, place.target)
    step.do(place.run)
    assert place.database.made == [("app", "app", "UTF8")]
    step.undo(place.run)
    assert place.database.made == [("app", "app", "UTF8")]


def test_a_database_that_somebody_filled_meanwhile_ends_the_run(place: Place) -> None:
    with pytest.raises(DatabaseError, match="the database app has got 1 tables meanwhile and is not overwritten"):
        vacant(place.scope, place.target).do(place.run)
    place.database.facts = replace(FACTS, tables={})
    vacant(place.scope, place.target).do(place.run)


def test_what_was_loaded_is_counted_and_told_and_an_undo_drops_it(place: Place) -> None:
    step = load_database(place.scope, place.target)
    step.do(place.run)
    assert place.database.loaded == {BESIDE: b"dump"}
    assert [event for event in place.events if isinstance(event, Counted)] == [Counted(FACTS.tables)]
    step.undo(place.run)
    assert place.database.loaded == {}


def test_a_load_that_gave_fewer_rows_is_an_error_and_tells_no_count(place: Place) -> None:
    place.database.facts = replace(FACTS, tables={"public.items": 2})
    with pytest.raises(DatabaseError, match="backup 1 is not what it should be once restored") as failed:
        load_database(place.scope, place.target).do(place.run)
    assert failed.value.details == ("public.items: 3 rows in the backup, 2 rows restored",)
    assert place.events == []
