"""A schedule as a user has it: installed by `inv`, started by nothing but /bin/sh, and heard of when it fails."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from fabfile.model.recovery_point import Verification, utc
from fabfile.recovery.catalogue import Catalogue
from fabfile.storage.s3 import S3Store
from tests.checkout import copy_product
from tests.listener import Heard, listening
from tests.unit.planning.test_freshness import point
from tests.unit.remote.test_scheduler import CRONTAB

PASSWORD = 'pa"ss$word\nof two lines'

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="would touch this machine's own systemd"),
]


class Checkout:
    """A user's project and home, on a machine whose crontab is a stand-in; its one host cannot be reached."""

    def __init__(self, folder: Path, heard: Heard) -> None:
        self.folder, self.home, self.programs = folder / "our project", folder / "home", folder / "programs"
        for made in (self.folder / "hosts", self.home, self.programs):
            made.mkdir(parents=True)
        copy_product(self.folder)
        (self.programs / "crontab").write_text(CRONTAB)
        (self.programs / "crontab").chmod(0o755)
        self.environment = {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.home),
            "PASSWORD": PASSWORD,
            "PING": heard.url("/u-u-i-d"),
            "TEAM": heard.url("/hook", "json"),
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "hunter2",
            "UNRELATED": "stays here",
        }
        self.configure()

    def configure(self, **backup: Any) -> None:
        settings = {
            "app": "small",
            "hosts": {"h1": {"address": "127.0.0.1", "port": 1}},
            "ssh": {"connect_timeout": "2s"},
            "database": {"via": "h1", "name": "app", "user": "turnout", "password": "env:PASSWORD"},
            "backup": {"bucket": "backups", "schedule": {"ping": "env:PING"}, **backup},
            "notify": ["env:TEAM"],
        }
        (self.folder / "hosts" / "test.yml").write_text(yaml.safe_dump(settings))

    def inv(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words, "--env=test"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        for secret in (PASSWORD, "of two lines", "hunter2", "u-u-i-d", "/hook"):
            assert secret not in done.stdout + done.stderr
        return done

    @property
    def crontab(self) -> str:
        table = self.programs / "table"
        return table.read_text() if table.exists() else ""

    @property
    def variables(self) -> Path:
        return self.home / ".config/turnout/turnout-small_test.env"

    @property
    def log(self) -> Path:
        return self.home / ".local/state/turnout/turnout-small_test.log"

    def strike(self, job: str) -> int:
        """What cron does when the hour of this job has come, with an environment that could not be barer."""
        [line] = [line for line in self.crontab.splitlines() if f"backup.scheduled {job} " in line]
        command = line.split(maxsplit=5)[5]
        return subprocess.run(["env", "-i", "/bin/sh", "-c", command], cwd="/", timeout=120).returncode


@pytest.fixture
def heard() -> Iterator[Heard]:
    with listening() as found:
        yield found


@pytest.fixture
def checkout(tmp_path: Path, heard: Heard) -> Checkout:
    return Checkout(tmp_path, heard)


def test_it_is_shown_first_installed_without_a_difference_the_second_time_and_taken_away(checkout: Checkout) -> None:
    shown = checkout.inv("backup.schedule", "--plan", expect=2)
    assert '+PASSWORD="[hidden]"' in shown.stdout.splitlines()
    assert checkout.crontab == ""
    assert not checkout.variables.exists()

    done = checkout.inv("backup.schedule")
    assert done.stdout == shown.stdout
    assert checkout.variables.stat().st_mode & 0o777 == 0o600
    assert checkout.inv("backup.schedule", "--plan").stdout == "nothing to change\n"

    checkout.environment["PASSWORD"] = "another\nvalue"
    assert checkout.inv("backup.schedule", "--plan", expect=2).stdout == f"{checkout.variables}: other values\n"

    for _ in range(2):
        checkout.inv("backup.schedule", "--remove")
        assert checkout.crontab == ""
        assert not (checkout.home / ".config/turnout").exists()
        assert not (checkout.home / ".local/state/turnout").exists()


def test_the_file_of_secrets_has_what_the_configuration_names_and_the_store_reads(checkout: Checkout) -> None:
    checkout.inv("backup.schedule")
    script = f"set -a; . {shlex.quote(str(checkout.variables))}; env -0"
    done = subprocess.run(["env", "-i", "/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    told = dict(variable.split("=", 1) for variable in done.stdout.split("\0")[:-1] if not variable.startswith("PWD="))
    names = ("PASSWORD", "PING", "TEAM", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert told == {name: checkout.environment[name] for name in names}


@pytest.mark.parametrize(
    ("variable", "value", "fact"),
    [
        ("PASSWORD", "", "PASSWORD is empty"),
        ("TEAM", "hunter2", "env:TEAM: its value is no address that Apprise knows"),
    ],
)
def test_nothing_is_installed_that_could_not_work(checkout: Checkout, variable: str, value: str, fact: str) -> None:
    checkout.environment[variable] = value
    assert fact in checkout.inv("backup.schedule", expect=3).stderr
    assert checkout.crontab == ""
    assert not checkout.variables.exists()


def test_a_backup_that_fails_by_the_clock_is_logged_pinged_and_told(checkout: Checkout, heard: Heard) -> None:
    checkout.inv("backup.schedule")
    checkout.log.write_text("x" * (1 << 20) + "\n")
    assert checkout.strike("backup") == 1
    assert heard.requests == ["GET /u-u-i-d/fail", "POST /hook"]
    message = json.loads(heard.bodies[1])
    assert message["title"].startswith("small in test: backup failed (on ")
    assert "h1: cannot connect" in message["message"] or "h1" in message["message"]
    assert "ended with status 1" in message["message"]
    # The log was too long, so this is the last that was written to it.
    former = checkout.log.with_name(f"{checkout.log.name}.1")
    assert "UTC: backup of small in test" in former.read_text()
    assert former.stat().st_mode & 0o777 == 0o644
    assert checkout.strike("backup") == 1
    assert "UTC: backup of small in test" in checkout.log.read_text()
    assert checkout.log.stat().st_mode & 0o777 == 0o600
    for log in (former, checkout.log):
        assert not any(secret in log.read_text() for secret in ("of two lines", "hunter2", "u-u-i-d", "/hook"))


def test_a_configuration_that_became_wrong_is_said_in_the_log(checkout: Checkout, heard: Heard) -> None:
    checkout.inv("backup.schedule")
    checkout.configure(bukcet="x")
    assert checkout.strike("maintain") == 3
    assert "hosts/test.yml has 1 error" in checkout.log.read_text()
    assert "did you mean 'bucket'?" in checkout.log.read_text()
    assert heard.requests == []


def test_a_failing_ping_changes_nothing_and_is_said(checkout: Checkout) -> None:
    checkout.environment["PING"] = "http://127.0.0.1:1/u-u-i-d"
    done = checkout.inv("backup.scheduled", "backup", expect=1)
    assert "the ping failed: it could not be reached" in done.stderr
    assert "`inv backup --reason=scheduled --lock-wait=10800s --env=test` ended with status 1" in done.stderr


def test_an_unknown_job_is_refused(checkout: Checkout, heard: Heard) -> None:
    assert "jobs: backup, maintain" in checkout.inv("backup.scheduled", "all", expect=3).stderr
    assert heard.requests == []


@pytest.fixture
def catalogue(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalogue]:
    """The checkout's backups, in a store of its own."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, checkout.environment[name])
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    checkout.configure(endpoint=endpoint)
    client: Any = boto3.session.Session().client("s3", region_name="us-east-1", endpoint_url=endpoint)
    client.create_bucket(Bucket="backups")
    yield Catalogue(S3Store("backups", "us-east-1", endpoint), "turnout", "small", "test")
    server.stop()


def test_the_age_of_backups_is_judged_and_told_where_that_is_wanted(
    checkout: Checkout, catalogue: Catalogue, heard: Heard
) -> None:
    none = checkout.inv("backup.check", expect=1)
    assert none.stdout == "there is no backup; there is no verified backup\n"
    assert heard.requests == []

    hours = [(1, 31, True), (2, 1, False)]
    for number, age, verified in hours:
        taken = utc(datetime.now(UTC) - timedelta(hours=age))
        catalogue.commit(replace(point(number, 0, verified), created_at=taken, app="small", environment="test"))
    old = checkout.inv("backup.check", "--notify", "--json", expect=1)
    found = json.loads(old.stdout)
    assert (found["stale"], found["newest"], found["verified"]) == (True, 2, 1)
    assert "TOO OLD: the limit is 30.0 h" in found["sentence"]
    assert heard.requests == ["POST /hook"]
    message = json.loads(heard.bodies[0])
    assert message["message"] == found["sentence"]
    assert message["title"].startswith("small in test: backups are too old")

    catalogue.record_verified(catalogue.find("2"), Verification(utc(datetime.now(UTC)), "passed", "ann@laptop", 1.0))
    assert checkout.inv("backup.check", "--notify").stdout.startswith("the newest backup, 2, is 1.0 h old")
    assert heard.requests == ["POST /hook"]
