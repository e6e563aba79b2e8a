"""Migrations as steps of a run: each once, from the release that is deployed, and what stays is said."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fabfile.artifact.archive import open_release
from fabfile.artifact.build import build
from fabfile.commands import lease
from fabfile.config.schema import Environment
from fabfile.engine.events import Event, Note
from fabfile.engine.run import Run
from fabfile.engine.runner import Aftermath, carry_out
from fabfile.errors import DatabaseError, RolledBack
from fabfile.model.migration import Applied, Migration
from fabfile.model.paths import Paths
from fabfile.model.plan import AppPlan, Plan
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps.schema import contract, migrate
from fabfile.steps.target import Target

RUN = "20250131T030000-0a1b"


@dataclass
class MemoryLedger:
    """A `Ledger` without a database; `broken` names a migration that fails, `gone` that nobody answers."""

    rows: list[Applied] = field(default_factory=list)
    broken: str = ""
    gone: bool = False

    def applied(self) -> tuple[Applied, ...]:
        if self.gone:
            raise DatabaseError("nobody answers")
        return tuple(self.rows)

    def apply(self, wanted: Sequence[Migration], release: str, run: str, tell: Callable[[str], None]) -> None:
        for one in wanted:
            if one.version in {row.version for row in self.rows}:
                continue
            if one.name == self.broken:
                raise DatabaseError(f"{one.name}.sql:2: no such column", "correct it")
            self.rows.append(Applied(one.version, one.name, one.phase, one.checksum, "", 0.0, release, run, one.down))
            tell(f"{one.name} applied")

    def take_back(self, row: Applied, tell: Callable[[str], None]) -> None:
        self.rows.remove(row)


@dataclass(frozen=True)
class Place:
    ledger: MemoryLedger
    target: Target
    run: Run
    events: list[Event]

    @property
    def told(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A deploy of a release with five migrations, as far as its lease."""
    source = tmp_path / "app"
    (source / "migrations").mkdir(parents=True)
    (source / "package.json").write_text(json.dumps({"name": "example", "version": "1.0.0"}))
    for number in range(1, 6):
        phase = "contract" if number == 5 else "expand"
        (source / "migrations" / f"00{number}_step.sql").write_text(f"-- {phase}\nSELECT {number};\n")
    built = build(source, tmp_path / "dist", [], [], lambda line: None)
    release = open_release(built.id, tmp_path / "dist")
    environment = Environment.model_validate(
        {
            "app": "example",
            "hosts": {"h1": {}},
            "database": {"via": "h1", "name": "app", "user": "turnout", "password": "env:PASSWORD"},
            "migrations": {"folder": "migrations"},
        }
    )
    paths, hosts = Paths("example", base=str(tmp_path)), {"h1": LocalHost("h1")}
    token = lease.parse_acquired(hosts["h1"].run(lease.acquire(paths, RUN, "ann", "deploy", 120)).stdout)
    assert isinstance(token, int)
    events: list[Event] = []
    run = Run(RUN, "deploy", Fleet(hosts), paths, {"h1": token}, events.append, LocalHost)
    app = AppPlan("h1", "blue", 3001, "127.0.0.1", None, None, None, True, "node", "pm2")
    names = tuple(f"00{number}_step" for number in range(1, 5))
    plan = Plan("deploy", "deploy", built.id, (app,), (), migrate=True, migrations=names, contracts=("005_step",))
    target = Target(
        RUN, "demo", "ann", "", plan, environment, paths, {}, "", {}, manifest=release.manifest, archive=release.path
    )
    yield Place(MemoryLedger(), target, run, events)


def versions(place: Place) -> list[int]:
    return [row.version for row in place.ledger.rows]


def test_what_is_planned_is_applied_once_however_often_the_step_runs(place: Place) -> None:
    step = migrate(lambda: place.ledger, place.target)
    step.do(place.run)
    step.do(place.run)
    assert versions(place) == [1, 2, 3, 4]
    assert place.told == [f"00{number}_step applied" for number in range(1, 5)]
    contract(lambda: place.ledger, place.target).do(place.run)
    assert versions(place) == [1, 2, 3, 4, 5]


def test_a_plan_shows_the_statements_that_would_run(place: Place) -> None:
    shown = migrate(lambda: place.ledger, place.target).preview("h1")
    assert "-- 003_step.sql\n-- expand\nSELECT 3;\n" in shown
    assert "SELECT 5" not in shown
    assert "SELECT 5" in contract(lambda: place.ledger, place.target).preview("h1")


def test_a_third_of_five_that_fails_undoes_the_run_and_says_what_stays(place: Place) -> None:
    place.ledger.broken = "003_step"
    step = migrate(lambda: place.ledger, place.target)
    with pytest.raises(RolledBack, match=r"003_step\.sql:2: no such column"):
        carry_out([step], [], place.run, Aftermath(list))
    assert versions(place) == [1, 2]
    assert place.told[-1] == "stays in the database: 001_step, 002_step; on request it is taken back: inv migrate.down"
    place.ledger.broken = ""
    step.do(place.run)
    assert versions(place) == [1, 2, 3, 4]


def test_an_undo_of_a_run_that_applied_nothing_says_so(place: Place) -> None:
    place.ledger.rows.append(Applied(1, "001_step", "expand", "", "", 0.0, "0.9", "another run"))
    migrate(lambda: place.ledger, place.target).undo(place.run)
    assert place.told == ["the database is as it was: this run has applied no migration"]
    assert versions(place) == [1]


def test_an_undo_needs_neither_the_release_nor_the_database(place: Place) -> None:
    place.ledger.gone = True
    aborted = replace(place.target, archive=None, manifest=None)
    migrate(lambda: place.ledger, aborted).undo(place.run)
    assert "the database cannot be asked what: nobody answers" in place.told[0]
