"""What a release's migrations mean for a run: in its plan, beside what runs, and when code goes back alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from io import StringIO
from pathlib import Path

import pytest

from fabfile import deploy
from fabfile.artifact.archive import Release, manifest_path, open_release
from fabfile.artifact.build import build
from fabfile.config.schema import Environment
from fabfile.database.port import Ledger
from fabfile.errors import DatabaseError, Refused
from fabfile.migrations import due, refuse_over_contract
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths
from fabfile.planning.deploy_plan import plan_deploy
from fabfile.planning.migrations import Due
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.remote.ssh import SshHost
from fabfile.session import Session
from fabfile.steps.target import Target
from fabfile.ui.reporter import Reporter
from tests.unit.planning.test_deploy_plan import TEMPLATES, bare, serving
from tests.unit.steps.test_schema import MemoryLedger

ENVIRONMENT = Environment.model_validate(
    {
        "app": "shop",
        "hosts": {"h1": {}, "h2": {}},
        "database": {"via": "h1", "name": "shop", "user": "turnout", "password": "env:PASSWORD"},
        "migrations": {"folder": "migrations"},
    }
)
TABLE = "-- expand\nCREATE TABLE items (id bigint PRIMARY KEY, old text);\n"
COLUMN = "-- expand\nALTER TABLE items ADD COLUMN colour text;\n"
DROP = "-- contract\nALTER TABLE items DROP COLUMN old;\n"


class Desk(Session):
    """A session whose database is in memory and whose hosts are folders of this machine."""

    @property
    def paths(self) -> Paths:
        return Paths("shop", base=str(self.known_hosts))

    @cached_property
    def ledger(self) -> Ledger:
        return MemoryLedger()


def unreachable(host: str) -> SshHost:
    raise AssertionError(f"{host} is not asked anew")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    fleet = Fleet({name: LocalHost(name) for name in ("h1", "h2")})
    return Desk("demo", ENVIRONMENT, fleet, Reporter(err=StringIO()), "r1", "ann", unreachable, tmp_path)


def release(desk: Desk, version: str, files: Mapping[str, str], kept: bool = True) -> Release:
    """A release with these files in its folder; hosts that keep it have its manifest."""
    source = desk.known_hosts / version
    (source / "migrations").mkdir(parents=True)
    (source / "package.json").write_text(json.dumps({"name": "shop", "version": version}))
    for name, text in files.items():
        (source / "migrations" / name).write_text(text)
    dist = desk.known_hosts / "dist"
    found = open_release(build(source, dist, [], [], lambda line: None).id, dist)
    if kept:
        releases = Path(desk.paths.releases)
        releases.mkdir(parents=True, exist_ok=True)
        (releases / f"{found.manifest.id}.json").write_bytes(manifest_path(found.path).read_bytes())
    return found


def live(found: Release) -> dict[str, Observed]:
    return {name: serving(name, release=found.manifest.id) for name in ("h1", "h2")}


def applied(desk: Desk, found: Release, observed: Mapping[str, Observed]) -> None:
    from fabfile.artifact.migrations import read_release

    desk.ledger.apply(read_release(found, "migrations"), found.manifest.id, "r0", lambda line: None)


def names(found: Due | None) -> tuple[list[str], list[str]]:
    assert found
    return [one.name for one in found.before], [one.name for one in found.after]


def test_on_bare_hosts_everything_comes_before_the_start(desk: Desk) -> None:
    first = release(desk, "1.0", {"001_a.sql": TABLE, "002_b.sql": DROP, "003_c.sql": COLUMN})
    found = due(desk, first, {name: bare(name) for name in ("h1", "h2")})
    assert names(found) == (["001_a", "002_b", "003_c"], [])


def test_a_contract_waits_for_the_release_that_runs_and_not_for_itself(desk: Desk) -> None:
    first = release(desk, "1.0", {"001_a.sql": TABLE})
    applied(desk, first, {})
    second = release(desk, "2.0", {"001_a.sql": TABLE, "002_b.sql": COLUMN, "003_c.sql": DROP})
    assert names(due(desk, second, live(first))) == (["002_b"], ["003_c"])
    assert names(due(desk, second, live(first), over_contract=True)) == (["002_b", "003_c"], [])
    assert names(due(desk, second, live(second))) == (["002_b", "003_c"], [])
    mixed = {"h1": live(second)["h1"], "h2": live(first)["h2"]}
    assert names(due(desk, second, mixed)) == (["002_b"], ["003_c"])


def test_a_contract_is_left_out_where_not_all_hosts_take_part(desk: Desk) -> None:
    first = release(desk, "1.0", {"001_a.sql": TABLE})
    second = release(desk, "2.0", {"001_a.sql": TABLE, "002_b.sql": DROP})
    assert names(due(desk, second, live(first), everywhere=False)) == (["001_a"], [])


def test_a_release_whose_manifest_nobody_keeps_is_taken_for_an_old_one(desk: Desk) -> None:
    second = release(desk, "2.0", {"001_a.sql": TABLE, "002_b.sql": DROP}, kept=False)
    assert names(due(desk, second, live(second))) == (["001_a"], ["002_b"])


def test_code_alone_does_not_go_back_over_a_contract(desk: Desk) -> None:
    first = release(desk, "1.0", {"001_a.sql": TABLE})
    second = release(desk, "2.0", {"001_a.sql": TABLE, "002_b.sql": COLUMN})
    third = release(desk, "3.0", {"001_a.sql": TABLE, "002_b.sql": COLUMN, "003_c.sql": DROP})
    everybody = {
        name: replace(seen, releases=tuple(one.manifest.id for one in (first, second, third)))
        for name, seen in live(third).items()
    }
    applied(desk, second, everybody)
    refuse_over_contract(desk, first.manifest.id, everybody)
    applied(desk, third, everybody)
    refuse_over_contract(desk, third.manifest.id, everybody)
    with pytest.raises(Refused, match=r"003_c \(contract\) has been applied, and 2\.0-") as refused:
        refuse_over_contract(desk, second.manifest.id, everybody)
    assert "inv rollback --backup=N" in refused.value.hint
    assert "--over-contract" in refused.value.hint
    with pytest.raises(Refused, match=r"003_c \(contract\) has been applied"):
        due(desk, second, everybody)


def test_a_database_that_cannot_be_asked_names_the_way_without_it(desk: Desk) -> None:
    assert isinstance(desk.ledger, MemoryLedger)
    desk.ledger.gone = True
    with pytest.raises(DatabaseError) as failed:
        refuse_over_contract(desk, "1.0-abc", {})
    assert "--over-contract" in failed.value.hint


def test_the_database_is_asked_though_another_secret_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else code could not go back where the secret of a release that failed was taken away."""
    monkeypatch.setenv("PASSWORD", "hunter2")
    environment = ENVIRONMENT.model_copy(update={"secrets": {"KEY": "env:NOT_SET"}})
    fleet, err = Fleet({"h1": LocalHost("h1")}), StringIO()
    session = Session("demo", environment, fleet, Reporter(err=err), "r1", "ann", unreachable, tmp_path)
    assert session.ledger
    session.reporter.say("it is hunter2")
    assert "hunter2" not in err.getvalue()


def test_an_unsafe_statement_stops_a_run_and_an_applied_one_does_not(desk: Desk) -> None:
    unsafe = release(desk, "1.0", {"001_a.sql": "-- expand\nCREATE INDEX i ON items (old);\n"})
    with pytest.raises(Refused, match="not safe while users are there") as refused:
        due(desk, unsafe, {})
    assert "CREATE INDEX CONCURRENTLY" in refused.value.details[0]
    applied(desk, unsafe, {})
    assert names(due(desk, unsafe, {})) == ([], [])


def test_an_environment_without_a_folder_has_nothing_due(tmp_path: Path) -> None:
    environment = ENVIRONMENT.model_copy(update={"migrations": None})
    desk = Desk("demo", environment, Fleet({}), Reporter(err=StringIO()), "r1", "ann", unreachable, tmp_path)
    assert due(desk, release(desk, "1.0", {"001_a.sql": TABLE}), {}) is None
    refuse_over_contract(desk, "1.0-abc", {})


def test_migrations_come_before_the_start_and_contracts_when_the_old_slot_is_stopped(desk: Desk) -> None:
    first = release(desk, "1.0", {"001_a.sql": TABLE})
    second = release(desk, "2.0", {"001_a.sql": TABLE, "002_b.sql": DROP})
    observed, identity = live(first), second.manifest.id
    plan = plan_deploy(observed.values(), ENVIRONMENT, identity, "conf", TEMPLATES)
    plan = replace(plan, migrate=True, migrations=("001_a",), contracts=("002_b",))
    target = Target(
        "r1", "demo", "ann", "", plan, ENVIRONMENT, desk.paths, {}, "conf", observed, second.manifest, second.path
    )
    steps = [step.name for step in [*deploy.steps(desk, target), *deploy.closing(target), *desk.contracts(target)]]
    assert steps.index("place") < steps.index("migrate") < steps.index("start")
    assert steps[-4:] == ["settle", "record", "tidy", "contract"]
    assert desk.contracts(replace(target, archive=None)) == []
