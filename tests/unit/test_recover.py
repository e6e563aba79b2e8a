"""The steps of a recovery, what it hears of its own run, and what an interrupted one still has to do."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

from fabfile import recover
from fabfile.config.database import DatabaseSettings
from fabfile.config.schema import Environment
from fabfile.database.port import Database
from fabfile.engine.events import Counted, Event, Note, StepDone, StepStarted
from fabfile.model.observed import HistoryEntry
from fabfile.model.restore import Restore
from fabfile.planning.deploy_plan import plan_deploy
from fabfile.planning.restore_preview import last_restore
from fabfile.recover import Stopwatch
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.remote.fleet import Fleet
from fabfile.remote.ssh import SshHost
from fabfile.restore import closing
from fabfile.session import Session
from fabfile.steps.target import Target
from fabfile.storage.directory import DirectoryStore
from fabfile.ui.reporter import Reporter
from tests.unit.planning.test_deploy_plan import ENVIRONMENT, TEMPLATES, bare, serving
from tests.unit.recovery.test_capture_and_restore import MemoryDatabase
from tests.unit.test_resume import ahead, done, found

RECOVER = ("begin", "create-db", "load-db", "load-files", "vacant", "swap-db", "swap-files", "start", "prove", "seal")


class Ready(Session):
    """A session whose store and database are in memory."""

    @cached_property
    def recovery(self) -> Scope:
        catalogue = Catalogue(DirectoryStore(self.known_hosts), "turnout", "shop", "demo")
        return Scope(self.environment, self.paths, self.fleet.hosts, catalogue, self.database)

    @cached_property
    def database(self) -> Database | None:
        return MemoryDatabase() if self.environment.database else None


def ready(folder: Path, environment: Environment) -> tuple[Session, Target]:
    """Two bare machines, and a backup with number 1 that is about to come to them."""
    session = Ready("demo", environment, Fleet({}), Reporter(), "r1", "ann@laptop", no_connection, folder)
    observed = {name: bare(name) for name in environment.run_hosts}
    restore = Restore(environment.database is not None, True, 1)
    plan = plan_deploy(observed.values(), environment, "1.0-abc", "conf", TEMPLATES, restore=restore)
    plan = replace(plan, verb="recover")
    return session, Target("r1", "demo", "ann", "", plan, environment, session.paths, {}, "conf", observed)


def no_connection(host: str) -> SshHost:
    raise AssertionError(f"{host} is not asked")


def test_everything_is_loaded_counted_and_proven_before_anybody_is_let_in(tmp_path: Path) -> None:
    settings = {"via": "h1", "name": "shop", "user": "turnout", "password": "env:PASSWORD"}
    environment = ENVIRONMENT.model_copy(update={"database": DatabaseSettings.model_validate(settings)})
    session, target = ready(tmp_path, environment)
    assert [step.name for step in recover.steps(session, target)] == [
        "begin",
        "create-db",
        "load-db",
        "load-files",
        "upload",
        "unpack",
        "place",
        "freeze",
        "vacant",
        "swap-db",
        "swap-files",
        "start",
        "prove",
        "site",
        "switch",
        "confirm",
        "seal",
    ]
    assert [step.name for step in closing(target)] == ["unfreeze", "record", "tidy"]


def test_an_application_without_a_database_is_rebuilt_from_files_and_release(tmp_path: Path) -> None:
    session, target = ready(tmp_path, ENVIRONMENT)
    names = [step.name for step in recover.steps(session, target)]
    assert not {"create-db", "load-db", "vacant", "swap-db"} & set(names)
    assert names[:2] == ["begin", "load-files"]


def test_users_are_served_when_they_are_let_through_and_not_when_the_run_ends() -> None:
    told: list[Event] = []
    watch = Stopwatch(told.append)
    events = (
        StepStarted("load-db", "", ("h1",)),
        Counted({"public.items": 3}),
        StepDone("load-db", 1.5),
        Note("a word"),
    )
    for event in events:
        watch(event)
    assert (watch.phases, watch.rows, watch.served) == ({"load-db": 1.5}, {"public.items": 3}, 0.0)
    watch(StepDone("unfreeze", 0.25))
    served = watch.served
    watch(StepDone("record", 0.5))
    assert 0.0 < served == watch.served
    assert told[:4] == list(events)


def test_what_was_loaded_and_put_in_place_is_not_loaded_again() -> None:
    assert ahead(RECOVER, found({**done(*RECOVER[:5]), "swap-db": "start"})) == [
        "swap-db",
        "swap-files",
        "start",
        "prove",
        "seal",
    ]
    half = found({**done(*RECOVER[:2]), "load-db": "going"})
    assert ahead(RECOVER, half) == list(RECOVER[2:])


def test_a_recovery_put_nothing_aside_that_an_undo_could_bring_back() -> None:
    recovered = HistoryEntry("2026-01-02", "recover", "1.0", "ann", "r2", None, Restore(True, True, 7))
    restored = HistoryEntry("2026-01-01", "rollback", "1.0", "ann", "r1", None, Restore(True, True, 7))
    assert last_restore([bare("h2"), replace(serving("h1"), history=(restored, recovered))]) == restored
