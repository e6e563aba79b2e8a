"""What keeps a deploy from beginning: its hour, and people who have not agreed yet; with real keys and a real store."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from fabfile import approve, schedule, windows
from fabfile.admission import admitted, foretell, hotfix_reason
from fabfile.commands.timetable import Place
from fabfile.config.schema import Environment
from fabfile.config.sources import Channel, resolve_channels
from fabfile.errors import BadInput, Refused, TurnoutError
from fabfile.model.approval import Statement
from fabfile.model.plan import Plan
from fabfile.model.release import Manifest
from fabfile.register import Register
from fabfile.remote.fleet import Fleet
from fabfile.remote.scheduler import Cron
from fabfile.session import Session
from fabfile.steps.target import Target
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Store
from fabfile.ui.reporter import Reporter
from tests.listener import listening
from tests.unit.planning.test_deploy_plan import bare
from tests.unit.test_recover import no_connection
from tests.unit.test_signing import Keys

NEVER = {"windows": ["daily 10:00-11:00"], "freezes": ["1 Jan - 31 Dec Europe/Berlin"]}
BACKUP = {"bucket": "abc"}


class Here(Session):
    """A session whose bucket is a folder."""

    @cached_property
    def store(self) -> Store:
        return DirectoryStore(self.known_hosts / "bucket")

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        return resolve_channels(self.environment, self.known_hosts, {})


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    found = Keys(tmp_path)
    found.person("ann")
    found.person("bob")
    monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(tmp_path / "ann"))
    return found


def session(folder: Path, **sections: Any) -> Session:
    environment = Environment.model_validate({"app": "shop", "hosts": {"h1": {}}, "backup": BACKUP, **sections})
    reporter = Reporter(out=io.StringIO(), err=io.StringIO())
    return Here("demo", environment, Fleet({}), reporter, "r1", "ann@laptop", no_connection, folder)


def wanting(folder: Path, required: int = 1) -> Session:
    return session(folder, approvals={"required": required, "signers": str(folder / "signers")})


def target(found: Session, digest: str = "a" * 64) -> Target:
    plan = Plan("deploy", "deploy", "1.0-abc", (), ())
    manifest = Manifest(1, "1.0-abc", "shop", "1.0", digest, 1, 1, None, False, "ann", "2026-11-21T00:00:00+00:00", ())
    return Target(
        "r1", "demo", "ann", "", plan, found.environment, found.paths, {}, "", {"h1": bare("h1")}, manifest=manifest
    )


def agree(found: Session, key: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """What `inv approve` puts into the bucket for the owner of this key."""
    asked = found.register.read("1.0-abc")[0][0].statement
    statement = replace(approve._statement(found, asked), **changes)
    monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(key))
    found.register.add(statement, found.signature(statement))
    monkeypatch.setenv("TURNOUT_SIGNING_KEY", str(key.with_name("ann")))


@pytest.mark.parametrize(("hotfix", "reason"), [(True, None), (True, "  "), (False, "because"), (True, "a\nb")])
def test_a_hotfix_and_its_reason_go_together(hotfix: bool, reason: str | None) -> None:
    with pytest.raises(BadInput):
        hotfix_reason(hotfix, reason)
    assert hotfix_reason(True, " checkout is down ") == "checkout is down"
    assert hotfix_reason(False, None) == ""


def test_an_environment_that_asks_for_nothing_lets_everybody_in(tmp_path: Path) -> None:
    found = session(tmp_path)
    assert admitted(found, target(found), "") == target(found)
    assert not (tmp_path / "bucket").exists()


def test_a_deploy_at_the_wrong_time_is_refused_and_a_hotfix_is_written_down(tmp_path: Path) -> None:
    found = session(tmp_path, calendar=NEVER)
    with pytest.raises(Refused, match="demo takes no deploys now: the freeze 1 Jan - 31 Dec Europe/Berlin is on") as no:
        admitted(found, target(found), "")
    assert no.value.code == 5
    assert "none may begin within two years: inv windows" in no.value.hint
    assert admitted(found, target(found), "checkout is down").plan.hotfix == "checkout is down"


def test_a_refusal_names_the_next_moment(tmp_path: Path) -> None:
    year = datetime.now(UTC).year
    found = session(tmp_path, calendar={"freezes": [f"1 Jan {year} - 31 Dec {year + 1}"]})
    with pytest.raises(Refused) as no:
        admitted(found, target(found), "")
    assert no.value.details == (f"next: {year + 2}-01-01T00:00:00+00:00",)
    assert f" {year + 2} " in no.value.hint or f" {year + 1} " in no.value.hint
    assert "--hotfix --reason=" in no.value.hint


def test_a_plan_tells_what_would_be_refused(tmp_path: Path) -> None:
    found = session(tmp_path, calendar=NEVER, approvals={"required": 2})
    err = io.StringIO()
    foretell(replace(found, reporter=Reporter(err=err)))
    assert "would be refused now: the freeze" in err.getvalue()
    assert "wants 2 people to have approved" in err.getvalue()


def test_a_release_waits_until_somebody_else_has_agreed(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanting(tmp_path)
    for _ in range(2):
        with pytest.raises(Refused, match="once 1 person other than ann approved it, and 0 did") as no:
            admitted(found, target(found), "")
        assert "inv approve 1.0-abc --env=demo" in no.value.hint
    assert len(list(found.store.list(found.root))) == 1  # asked once
    agree(found, tmp_path / "bob", monkeypatch)
    assert admitted(found, target(found), "").plan.approved_by == ("bob",)
    with pytest.raises(Refused, match="and 0 did"):
        admitted(found, target(found, "b" * 64), "")


def test_a_hotfix_needs_approval_like_any_other(tmp_path: Path, keys: Keys) -> None:
    found = wanting(tmp_path)
    with pytest.raises(Refused, match="other than ann"):
        admitted(found, target(found), "checkout is down")


def test_nobody_approves_their_own_run_whatever_is_in_the_bucket(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanting(tmp_path)
    with pytest.raises(Refused):
        admitted(found, target(found), "")
    agree(found, tmp_path / "ann", monkeypatch)
    keys.allow(tmp_path / "ann", "ann2")
    agree(found, keys.make("eve"), monkeypatch)
    agree(found, tmp_path / "bob", monkeypatch, until="2026-01-01T00:00:00+00:00")
    agree(found, tmp_path / "bob", monkeypatch, environment="staging")
    found.store.put(f"{found.root}approvals/1.0-abc/0000.json", b"{}")
    with pytest.raises(Refused, match="and 0 did") as no:
        admitted(found, target(found), "")
    told = " ".join(no.value.details)
    assert "ann: is who deploys it" in told
    assert "bob: approved it until 2026-01-01" in told
    assert "bob: approved another archive, application or environment" in told
    assert "0000.json: not a signed statement" in told
    assert "signed by a key that signers has not" in told


def test_a_record_that_was_changed_counts_for_nothing(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanting(tmp_path)
    with pytest.raises(Refused):
        admitted(found, target(found), "")
    agree(found, tmp_path / "bob", monkeypatch, digest="b" * 64)
    for listed in list(found.store.list(found.root)):
        record = json.loads(found.store.get(listed.key))
        record["statement"] = record["statement"].replace("b" * 64, "a" * 64)
        found.store.put(listed.key, json.dumps(record).encode())
    with pytest.raises(Refused, match="and 0 did") as no:
        admitted(found, target(found), "")
    assert "the signature of bob is not one of this text" in " ".join(no.value.details)


def test_a_signer_who_left_the_team_no_longer_counts(
    tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wanting(tmp_path)
    with pytest.raises(Refused):
        admitted(found, target(found), "")
    agree(found, tmp_path / "bob", monkeypatch)
    keys.signers.write_text("".join(line for line in keys.signers.read_text().splitlines(True) if "bob" not in line))
    with pytest.raises(Refused, match="and 0 did"):
        admitted(found, target(found), "")


def test_two_archives_of_one_name_cannot_be_approved(tmp_path: Path, keys: Keys) -> None:
    found = wanting(tmp_path)
    for digest in ("a" * 64, "b" * 64):
        with pytest.raises(Refused):
            admitted(found, target(found, digest), "")
    with pytest.raises(Refused, match=r"different archives are called 1\.0-abc"):
        approve._asked(found, "1.0-abc")
    with pytest.raises(BadInput, match=r"nobody has asked for 2\.0 in demo"):
        approve._asked(found, "2.0")


def test_the_same_statement_is_kept_once(tmp_path: Path, keys: Keys) -> None:
    found = wanting(tmp_path)
    statement = Statement("request", "shop", "demo", "1.0-abc", "a" * 64, *["2026-11-21T00:00:00+00:00"] * 2)
    signature = found.signature(statement)
    register = Register(found.store, found.root, keys.signers)
    register.add(statement, signature)
    register.add(statement, signature)
    [signed] = register.read("1.0-abc")[0]
    assert (signed.statement, signed.signer.name) == (statement, "ann")


def announcing(folder: Path, url: str) -> Session:
    (folder / "channel").write_text(url)
    (folder / "channel").chmod(0o600)
    maintenance = [{"at": "5 Dec 2026 22:00-23:30 Europe/Berlin", "what": "The database moves."}]
    return session(folder, notify=["file:channel"], calendar={"maintenance": maintenance})


@pytest.mark.slow
def test_maintenance_is_told_once_for_each_lead(tmp_path: Path) -> None:
    with listening() as heard:
        found = announcing(tmp_path, heard.url("/", "json"))
        for now in ("2026-11-28T20:59", "2026-11-28T21:00", "2026-11-29T00:00", "2026-12-05T20:30", "2026-12-05T21:00"):
            windows.tell_what_is_due(found, datetime.fromisoformat(f"{now}:00+00:00"))
    told = [json.loads(body) for body in heard.bodies]
    assert [message["title"] for message in told] == [
        "maintenance of shop in demo in a week",
        "maintenance of shop in demo within the hour",
    ]
    assert told[0]["message"] == ("Sat 05 Dec 2026 22:00 to 23:30 CET (21:00 to 22:30 UTC): The database moves.")


@pytest.mark.slow
def test_what_nobody_took_is_told_again(tmp_path: Path) -> None:
    now = datetime(2026, 11, 29, tzinfo=UTC)
    with listening(status=500) as deaf, pytest.raises(TurnoutError, match="nobody was told of the maintenance"):
        windows.tell_what_is_due(announcing(tmp_path, deaf.url("/", "json")), now)
    with listening() as heard:
        assert len(windows.tell_what_is_due(announcing(tmp_path, heard.url("/", "json")), now)) == 1
    assert len(heard.bodies) == 1


@pytest.mark.parametrize(
    ("maintenance", "names"), [(True, ["backup", "maintain", "announce"]), (False, ["backup", "maintain"])]
)
def test_the_schedule_looks_for_news_where_there_may_be_any(
    tmp_path: Path, maintenance: bool, names: list[str]
) -> None:
    found = announcing(tmp_path, "json://127.0.0.1") if maintenance else session(tmp_path)
    place = Place("shop", "demo", "/opt/python", "/opt/shop", "/etc/shop.env")
    jobs, _ = schedule._jobs(found, place, Cron(tmp_path, tmp_path, tmp_path))
    assert [job.name for job in jobs] == names
    assert [schedule._commands(name, found)[-1] for name in names][2:] == [["windows.announce"]] * maintenance


def test_a_deploy_with_another_environments_secret_is_refused_and_a_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`differs_from` is looked for among the project's environments; here it is the demo's file."""
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter2@h/d")
    monkeypatch.setenv("SHOP_DATABASE", "postgres://v:hunter2@elsewhere/d")
    custody = {"differs_from": "demo", "changed": {"URL": "2020-01-01"}}
    found = replace(session(tmp_path, secrets={"URL": "env:SHOP_DATABASE"}, custody=custody), name="shop")
    with pytest.raises(Refused, match=r"shop has secrets of demo: URL \(DATABASE_URL there\)") as no:
        admitted(found, target(found), "")
    assert no.value.code == 5
    err = io.StringIO()
    told = replace(found, reporter=Reporter(err=err))
    foretell(told)
    assert "inv deploy would be refused: shop has secrets of demo" in err.getvalue()
    assert "due to be changed: URL (since 2020-03-31)" in err.getvalue()
    assert "hunter2" not in err.getvalue() + str(no.value)
    monkeypatch.setenv("DATABASE_URL", "postgres://u:hunter3@h/d")
    assert admitted(told, target(told), "") == target(told)
