"""Secrets from every kind of source reach the application, and are found nowhere else, whatever is done and shown."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import boto3
import pytest

from tests.secrets import search
from tests.secrets.conftest import Stage
from tests.secrets.planted import made_up
from tests.secrets.watch import watching

pytestmark = pytest.mark.lab

TELLS = ["sh", "-c", "env | grep -E '^(SHOP|TURNOUT|AWS)_'; exit $0"]
"""A hook of somebody who looks for a mistake: it prints all that it was given."""


def test_a_copy_that_lies_about_is_found(stage: Stage) -> None:
    """The search itself: one copy in each of the places that the other tests search."""
    project, lab = stage.project, stage.project.lab
    value = stage.planted.delivered["ENV_KEY"]
    lab.execute("h1", "bash", "-c", "cat > /tmp/copy; zstd -q /tmp/copy -o /tmp/copied.zst", text=value)
    lab.execute("h2", "bash", "-c", 'logger -- "$(cat)"', text=value)
    (project.folder / "copy").write_text(f"export KEY={value}")
    client = boto3.session.Session("x", "y").client(
        "s3", region_name="us-east-1", endpoint_url=project.environment["S3_ENDPOINT"]
    )
    client.put_object(Bucket="backups", Key="copy", Body=value.encode())
    stage.printed.append(value)
    try:
        with watching(stage.temporary) as watch:
            (stage.temporary / "copy").write_text(value)
            time.sleep(0.3)
            (stage.temporary / "copy").unlink()
            subprocess.run(["sh", "-c", "sleep 0.3", value], check=True)
            lab.execute("h1", "bash", "-c", 'KEY="$(cat)" sleep 0.5', text=value)
        found = "\n".join([*stage.found(), *stage.shown(watch.seen)])
    finally:
        stage.printed.clear()
        client.delete_object(Bucket="backups", Key="copy")
        (project.folder / "copy").unlink()
        lab.execute("h1", "rm", "-f", "/tmp/copy", "/tmp/copied.zst")
        lab.execute("h2", "bash", "-c", "journalctl --rotate -q; journalctl --vacuum-time=1s -q; rm -f /var/log/syslog")
    places = (
        "h1: 644 root /tmp/copy",
        "h1: - - inside /tmp/copied.zst",
        "h2: - - journal",
        "ENV_KEY in output",
        f"ENV_KEY in {project.folder}/copy",
        "ENV_KEY in s3:copy",
        "ENV_KEY in the temporary file copy",
        "ENV_KEY in the arguments of sh",
        "ENV_KEY in the environment of sleep",
    )
    assert [place for place in places if place not in found] == [], found


def test_a_deploy_hands_them_to_the_application_alone(stage: Stage, request: pytest.FixtureRequest) -> None:
    release = stage.project.build("1.0.0")
    with stage.searched(request):
        stage.inv("plan", f"--release={release}", expect=2)
        stage.inv("plan", f"--release={release}", "--json", expect=2)
        stage.inv("deploy", f"--release={release}")
        for word in ("status", "config", "releases"):
            stage.inv(word, "--json")
        assert "fresh" in stage.inv("secrets.list", expect=0).out
    for host in stage.project.lab.hosts:
        assert stage.delivered(host) == stage.planted.delivered
        places = search.on_host(stage.project.lab, host, stage.began, [stage.planted.delivered["ENV_KEY"].encode()])
        assert [search.private(place) for place in places] == [True], places


def test_a_changed_secret_is_a_deploy_and_a_rollback_brings_back_the_former(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    before, changed = dict(stage.planted.delivered), made_up()
    with stage.searched(request):
        assert "changed: AGE_KEY" in stage.inv("secrets.set", "AGE_KEY", given=changed).err
        stage.planted.delivered["AGE_KEY"] = changed
        stage.inv("--debug", "deploy", "--json")
        assert stage.delivered("h1")["AGE_KEY"] == changed
        stage.inv("--debug", "rollback")
        assert stage.delivered("h1") == before
        assert stage.inv("deploy").code == 0
    assert stage.delivered("h2") == stage.planted.delivered


def test_a_failed_deploy_tells_nothing(stage: Stage, request: pytest.FixtureRequest) -> None:
    project = stage.project
    broken = project.build("2.0.0", crash=True)
    with stage.searched(request):
        stage.inv("deploy", f"--release={broken}", expect=6)
        project.configure(hooks={"pre-deploy": [{"command": [*TELLS, "0"]}], "pre-switch": [{"command": [*TELLS, "1"]}]})
        good = project.build("2.1.0")
        stage.inv("deploy", f"--release={good}", expect=6)
        project.configure()
        stage.inv("backup.scheduled", "no-such-job", expect=3)
        stage.inv("deploy", f"--release={good}")
    assert "[hidden]" in "".join(stage.printed)


def test_backups_and_restores_hold_none(stage: Stage, request: pytest.FixtureRequest) -> None:
    with stage.searched(request):
        number = stage.inv("backup", "--json").document["number"]
        stage.inv("--debug", "backup.verify", "--drill")
        stage.inv("rollback", f"--backup={number}", "--yes")
        stage.inv("backup.list", "--json")
    assert stage.delivered("h1") == stage.planted.delivered


def test_no_log_of_a_defect_was_left(stage: Stage) -> None:
    assert list(Path(stage.temporary).glob("turnout-*.log")) == []
