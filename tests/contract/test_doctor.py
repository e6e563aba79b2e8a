"""`inv doctor` as a command, with a store over HTTP and a host that nobody answers for."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.checks.listing import CHECKS
from tests.contract.test_schedule import Checkout
from tests.listener import listening

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="would touch this machine's own systemd"),
]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    """A user's project with a bucket of its own that is there, and nothing more."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    with listening() as heard:
        found = Checkout(tmp_path, heard)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, found.environment[name])
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        found.environment["STORE"] = endpoint
        found.environment["BUCKET"] = f"backups-{uuid.uuid4().hex}"
        configure(found)
        client: Any = boto3.session.Session().client("s3", region_name="us-east-1", endpoint_url=endpoint)
        client.create_bucket(Bucket=found.environment["BUCKET"])
        client.close()
        yield found
    server.stop()


def configure(checkout: Checkout, **backup: Any) -> None:
    checkout.configure(bucket=checkout.environment["BUCKET"], endpoint="env:STORE", **backup)


def examined(checkout: Checkout) -> dict[str, list[dict[str, Any]]]:
    """The findings by check; something is always wrong here, as the host does not answer."""
    document = json.loads(checkout.inv("doctor", "--json", expect=2).stdout.splitlines()[-1])
    assert document["green"] is False
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CHECKS}
    for finding in document["findings"]:
        found[finding["check"]].append(finding)
    return found


def test_a_host_that_does_not_answer_is_named_once_and_hides_nothing_else(checkout: Checkout) -> None:
    found = examined(checkout)
    (login,) = found["login"]
    assert (login["where"], login["verdict"]) == ("h1", "critical")
    assert "no SSH connection" in login["seen"]
    for name in ("sudo", "disk", "clock", "database"):
        assert {finding["verdict"] for finding in found[name]} == {"could not look"}
    assert [finding["verdict"] for finding in found["variables"]] == ["ok"]
    assert [finding["verdict"] for finding in found["bucket"]] == ["critical", "warning"]


def test_what_is_typed_as_it_stands_mends_the_bucket(checkout: Checkout) -> None:
    remedy = examined(checkout)["bucket"][0]["remedy"]
    assert (remedy["on"], remedy["command"]) == ("", "inv bucket.setup --yes --env=test")
    _, *words = shlex.split(remedy["command"].removesuffix(" --env=test"))
    checkout.inv(*words)
    assert [finding["verdict"] for finding in examined(checkout)["bucket"]] == ["ok", "warning"]


def test_the_bucket_for_copies_is_looked_at_and_made_by_its_own_command(checkout: Checkout) -> None:
    configure(checkout, copy={"bucket": f"copies-{uuid.uuid4().hex}", "endpoint": "env:STORE"})
    missing = next(found for found in examined(checkout)["bucket"] if "copies-" in found["where"])
    assert (missing["verdict"], missing["seen"].partition(";")[0]) == ("critical", "bucket: does not exist")
    assert missing["remedy"]["command"] == "inv bucket.setup --yes --copy --env=test"
    checkout.inv("bucket.setup", "--copy", expect=2)
    checkout.inv("bucket.setup", "--yes", "--copy")
    assert [found["verdict"] for found in examined(checkout)["bucket"]] == ["critical", "warning", "ok", "warning"]


def test_a_second_bucket_that_is_not_configured_cannot_be_set_up(checkout: Checkout) -> None:
    assert "has no backup.copy section" in checkout.inv("bucket.setup", "--copy", expect=3).stderr


def test_the_bucket_is_mended_without_any_secret_of_the_application(checkout: Checkout) -> None:
    del checkout.environment["PASSWORD"]
    checkout.inv("bucket.setup", "--yes")


def test_a_value_that_lacks_is_named_and_keeps_no_other_check_from_its_answer(checkout: Checkout) -> None:
    del checkout.environment["PASSWORD"]
    found = examined(checkout)
    (variable,) = found["variables"]
    assert (variable["where"], variable["verdict"]) == ("database.password", "critical")
    assert variable["remedy"]["command"] == "read -rs PASSWORD && export PASSWORD"
    assert [finding["verdict"] for finding in found["bucket"]] == ["critical", "warning"]
    assert found["database"][0]["verdict"] == "could not look"


@contextmanager
def cron_running(checkout: Checkout) -> Iterator[None]:
    """What goes by the name of a cron daemon here."""
    program = checkout.programs / "cron"
    program.symlink_to(str(shutil.which("sleep")))
    running = subprocess.Popen([program, "600"])
    try:
        yield
    finally:
        running.kill()
        running.wait()


def test_a_machine_without_crontab_is_told_so(checkout: Checkout) -> None:
    (checkout.programs / "crontab").unlink()
    if shutil.which("crontab", path=checkout.environment["PATH"]):
        pytest.skip("this machine has one of its own")
    (found,) = examined(checkout)["schedule"]
    assert "there is no crontab" in found["seen"]


def test_the_schedule_that_is_installed_here_is_seen_and_nothing_is_changed(checkout: Checkout) -> None:
    with cron_running(checkout):
        _schedule_is_seen(checkout)


def _schedule_is_seen(checkout: Checkout) -> None:
    assert examined(checkout)["schedule"][0]["verdict"] == "not applicable"
    checkout.inv("backup.schedule")
    before = {path: path.stat().st_mtime_ns for path in checkout.home.rglob("*")}
    assert examined(checkout)["schedule"][0]["verdict"] == "ok"
    configure(checkout, schedule={"every": "1h", "ping": "env:PING"})
    changed = examined(checkout)["schedule"][0]
    assert (changed["verdict"], changed["remedy"]["command"]) == ("warning", "inv backup.schedule --env=test")
    assert {path: path.stat().st_mtime_ns for path in checkout.home.rglob("*")} == before


def test_people_read_what_to_type(checkout: Checkout) -> None:
    said = checkout.inv("doctor", expect=2).stdout
    assert "-> inv bucket.setup --yes --env=test" in said
    assert said.splitlines()[-1].startswith("not all green: ")
