"""Migrations without a deploy go by the same hours and consent as deploys, and say what they leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from fabfile import approve
from fabfile.config.schema import Environment
from fabfile.database.port import Ledger
from fabfile.errors import Interrupted, Refused
from fabfile.migrate import Wishes, apply_files, run_command
from fabfile.migrate_down import go_down
from fabfile.model.migration import Applied, Migration
from fabfile.model.observed import Observed
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Store
from fabfile.ui.reporter import Reporter
from tests.unit.planning.test_deploy_plan import bare, serving
from tests.unit.steps.test_schema import MemoryLedger
from tests.unit.test_admission import NEVER
from tests.unit.test_migrations import COLUMN, TABLE, Desk, release, unreachable
from tests.unit.test_signing import Keys

FILES = {
    "001_a.sql": TABLE,
    "001_a_down.sql": "DROP TABLE items;",
    "002_b.sql": COLUMN,
    "002_b_down.sql": "ALTER TABLE items DROP COLUMN colour;",
}
WISHES = Wishes(None, plan=False, over_contract=False, skip_backup=False, hotfix="", lock_wait=0.0, yes=True)


@dataclass(frozen=True)
class Office(Desk):
    """A desk with one host that nobody deployed to, a bucket that is a folder, and a database that may act up."""

    keeper: MemoryLedger = field(default_factory=MemoryLedger)
    looks: list[Observed] = field(default_factory=lambda: [bare("h1")])
    """What the host shows at each look; the last one from then on."""

    @cached_property
    def ledger(self) -> Ledger:
        return self.keeper

    @property
    def dist(self) -> Path:
        return self.known_hosts / "dist"

    @cached_property
    def store(self) -> Store:
        return DirectoryStore(self.known_hosts / "bucket")

    def observe(self, hosts: Iterable[str] | None = None) -> dict[str, Observed]:
        return {"h1": self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]}

    def migrate(self, release: str, **wishes: Any) -> None:
        apply_files(self, replace(WISHES, release=release, **wishes), self.known_hosts)

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.keeper.rows]

    @property
    def admissions(self) -> list[tuple[str, str, str, list[str]]]:
        """What the host keeps of what let migrations in."""
        file = Path(self.paths.state) / "verdicts.jsonl"
        kept = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [(each["verb"], each["what"], each["hotfix"], each["approved_by"]) for each in kept]


Open = Callable[..., Office]


@pytest.fixture
def office(tmp_path: Path) -> Open:
    def opened(keeper: MemoryLedger | None = None, **sections: Any) -> Office:
        database = {"via": "h1", "name": "shop", "user": "turnout", "password": "env:PASSWORD"}
        settings = {"app": "shop", "hosts": {"h1": {}}, "database": database, "migrations": {"folder": "migrations"}}
        environment = Environment.model_validate({**settings, **sections})
        fleet, reporter = Fleet({"h1": LocalHost("h1")}), Reporter(out=StringIO(), err=StringIO())
        desk = Office("demo", environment, fleet, reporter, "r1", "ann", unreachable, tmp_path)
        return replace(desk, keeper=keeper or desk.keeper)

    return opened


@pytest.fixture
def built(office: Open) -> str:
    """The id of a release with two migrations that nobody has deployed."""
    return release(office(), "1.0", FILES, kept=False).manifest.id


def test_migrations_are_refused_when_deploys_are_and_a_hotfix_is_written_down(office: Open, built: str) -> None:
    desk = office(calendar=NEVER)
    with pytest.raises(Refused, match="demo takes no deploys now: the freeze 1 Jan - 31 Dec"):
        desk.migrate(built)
    assert (desk.names, desk.admissions) == ([], [])
    desk.migrate(built, hotfix='checkout is "down"')
    assert desk.names == ["001_a", "002_b"]
    with pytest.raises(Refused, match="takes no deploys now"):
        go_down(desk, None, "", 0.0, yes=True)
    assert desk.names == ["001_a", "002_b"]
    go_down(desk, 0, "it is slow", 0.0, yes=True)
    assert desk.names == []
    assert desk.admissions == [
        ("migrate", built, 'checkout is "down"', []),
        ("migrate-down", "down-002_b-to-001_a", "it is slow", []),
    ]


def test_nothing_to_apply_asks_nobody(office: Open, built: str) -> None:
    desk = office()
    desk.migrate(built)
    office(desk.keeper, calendar=NEVER).migrate(built)
    assert len(desk.admissions) == 1


def test_a_plan_says_what_would_be_refused_and_applies_nothing(office: Open, built: str) -> None:
    err = StringIO()
    desk = replace(office(calendar=NEVER), reporter=Reporter(out=StringIO(), err=err))
    desk.migrate(built, plan=True)
    assert "inv migrate would be refused now: the freeze" in err.getvalue()
    assert (desk.names, desk.reporter.exit_code) == ([], 2)


def test_migrations_and_their_way_back_wait_for_a_second_person_each(
    office: Open, built: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Keys(tmp_path)
    ann, bob = keys.person("ann"), keys.person("bob")
    monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(ann))
    desk = office(approvals={"required": 1, "signers": str(keys.signers)}, backup={"bucket": "abc"})

    def agreed(what: str) -> None:
        monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(bob))
        statement = approve._statement(desk, approve._asked(desk, what)[0].statement)
        desk.register.add(statement, desk.signature(statement))
        monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(ann))

    with pytest.raises(Refused, match="once 1 person other than ann approved it, and 0 did"):
        desk.migrate(built)
    assert desk.names == []
    agreed(built)
    desk.migrate(built)
    with pytest.raises(Refused, match=r"^down-002_b may come to demo once 1 person") as no:
        go_down(desk, None, "", 0.0, yes=True)
    assert "inv approve down-002_b --env=demo" in no.value.hint
    agreed("down-002_b")
    desk.keeper.rows[-1] = replace(desk.keeper.rows[-1], down="DROP TABLE items;")
    with pytest.raises(Refused, match="bob: approved another archive"):
        go_down(desk, None, "", 0.0, yes=True)
    desk.keeper.rows[-1] = replace(desk.keeper.rows[-1], down=FILES["002_b_down.sql"])
    go_down(desk, None, "", 0.0, yes=True)
    assert desk.names == ["001_a"]
    assert [admission[3] for admission in desk.admissions] == [["bob"], ["bob"]]


class Busy(MemoryLedger):
    """Somebody else applies one more migration after the first look."""

    def applied(self) -> tuple[Applied, ...]:
        found = super().applied()
        if len(found) == 2:
            self.rows.append(replace(found[-1], version=3, name="003_c"))
        return found


def test_what_was_confirmed_is_taken_back_and_nothing_else(office: Open, built: str) -> None:
    first = office()
    first.migrate(built)
    desk = office(Busy(first.keeper.rows))
    with pytest.raises(Refused, match="other migrations are applied by now, so nothing was taken back"):
        go_down(desk, None, "", 0.0, yes=True)
    assert desk.names == ["001_a", "002_b", "003_c"]


class CutOff(MemoryLedger):
    """Ctrl-C comes once the first is applied."""

    def apply(self, wanted: Sequence[Migration], release: str, run: str, tell: Callable[[str], None]) -> None:
        super().apply(wanted[:1], release, run, tell)
        raise KeyboardInterrupt


def test_ctrl_c_does_not_say_that_nothing_was_changed(office: Open, built: str) -> None:
    desk = office(CutOff())
    with pytest.raises(Interrupted, match="every migration that had ended stays as it is") as interrupted:
        desk.migrate(built)
    assert (desk.names, interrupted.value.code) == (["001_a"], 130)
    assert "inv migrate.status" in interrupted.value.hint
    office(MemoryLedger(desk.keeper.rows)).migrate(built)
    assert desk.names == ["001_a", "002_b"]


@pytest.fixture
def commanding(office: Open, monkeypatch: pytest.MonkeyPatch) -> tuple[Office, StringIO]:
    """A desk whose live release migrates by a command that tells a secret, and what is said there."""
    monkeypatch.setenv("KEY", "hunter2")
    command = {"migrate": ["echo", "connected with hunter2"]}
    desk, err = office(secrets={"KEY": "env:KEY"}, release=command, migrations=None, database=None), StringIO()
    for slot in ("blue", "green"):
        Path(desk.paths.slot(slot)).mkdir(parents=True)
    return replace(desk, looks=[serving("h1")], reporter=Reporter(out=StringIO(), err=err)), err


def test_what_the_applications_own_command_says_has_no_secrets(commanding: tuple[Office, StringIO]) -> None:
    desk, err = commanding
    run_command(desk, WISHES)
    assert "connected with [hidden]" in err.getvalue()
    assert desk.admissions == [("migrate", "1.0", "", [])]


def test_a_command_runs_from_what_is_live_once_the_lease_is_held(commanding: tuple[Office, StringIO]) -> None:
    desk, err = commanding
    desk.looks.append(serving("h1", "green", "2.0"))
    with pytest.raises(Refused, match=r"h1 serves 2\.0 by now, not 1\.0"):
        run_command(desk, WISHES)
    assert "connected" not in err.getvalue()


def test_the_applications_own_command_keeps_to_the_hours_of_deploys(commanding: tuple[Office, StringIO]) -> None:
    desk, err = commanding
    calendar = Environment.model_validate({"app": "shop", "hosts": {"h1": {}}, "calendar": NEVER}).calendar
    desk = replace(desk, environment=desk.environment.model_copy(update={"calendar": calendar}))
    with pytest.raises(Refused, match="takes no deploys now"):
        run_command(desk, WISHES)
    assert "connected" not in err.getvalue()
