"""Secrets from every kind of source reach the application, and are found nowhere else, whatever is done and shown."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from tests.secrets import search
from tests.secrets.conftest import Stage
from tests.secrets.planted import Planted, compressed, made_up
from tests.secrets.watch import watching

pytestmark = pytest.mark.lab

TELLS = ["sh", "-c", "env | grep -E '^(SHOP_|TURNOUT_|AWS_|TEAM=)'; exit $0"]
"""A hook of somebody who looks for a mistake: it prints all that it was given."""


def test_a_copy_that_lies_about_is_found(stage: Stage) -> None:
    """The search itself, with a value of its own: one copy in each of the places that the other tests search."""
    value, project, lab = made_up(), stage.project, stage.project.lab
    decoy = replace(stage, planted=Planted({"DECOY": value}, {}), printed=[f"KEY={value}"])
    lab.execute("h1", "bash", "-c", "cat > /tmp/copy; zstd -q /tmp/copy -o /tmp/copied.zst", text=value)
    lab.execute("h2", "bash", "-c", 'logger -- "$(cat)"', text=value)
    (project.folder / "copy").write_text(f"export KEY={value}")
    store = search.client(project.environment)
    objects = {
        "copy": (value.encode(), {}),
        "copied": (compressed(value.encode()), {}),
        "of": (b"", {"of": quote(value)}),
    }
    for key, (body, about) in objects.items():
        store.put_object(Bucket="backups", Key=key, Body=body, Metadata=about)
    try:
        with watching(stage.temporary) as watch:
            (stage.temporary / "passing").write_text(value)
            time.sleep(0.3)
            (stage.temporary / "passing").unlink()
            subprocess.run(["sh", "-c", "sleep 0.3; :", value], check=True)
            lab.execute("h1", "bash", "-c", 'KEY="$(cat)" sleep 0.5; :', text=value)
        found = "\n".join([*decoy.found(), *decoy.shown(watch.seen)])
    finally:
        for key in objects:
            store.delete_object(Bucket="backups", Key=key)
        (project.folder / "copy").unlink()
        lab.execute("h1", "rm", "-f", "/tmp/copy", "/tmp/copied.zst")
    places = (
        "root /tmp/copy",
        "h1: - - inside /tmp/copied.zst",
        "h2: - - journal",
        "DECOY in output",
        f"DECOY in {project.folder}/copy",
        "DECOY in s3:copy",
        "DECOY in s3:copied",
        "DECOY in s3:of",
        "DECOY in the temporary file passing",
        "DECOY in the arguments of sh",
        "DECOY in the environment of sleep",
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
        stage.planted.others["the former AGE_KEY"] = before["AGE_KEY"]
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
        project.configure(
            hooks={"pre-deploy": [{"command": [*TELLS, "0"]}], "pre-switch": [{"command": [*TELLS, "1"]}]}
        )
        good = project.build("2.1.0")
        stage.inv("deploy", f"--release={good}", expect=6)
        project.configure()
        stage.inv("backup.check", "--notify", expect=1)
        stage.inv("deploy", f"--release={good}")
    assert "[hidden]" in "".join(stage.printed)


def test_backups_and_restores_hold_none(stage: Stage, request: pytest.FixtureRequest) -> None:
    with stage.searched(request):
        number = stage.inv("backup", "--json").document["number"]
        stage.inv("--debug", "backup.verify", "--drill")
        stage.inv("rollback", f"--backup={number}", "--yes")
        stage.inv("backup.list", "--json")
    assert stage.delivered("h1") == stage.planted.delivered


def test_what_an_application_tells_in_a_drill_is_neither_repeated_nor_noted(
    stage: Stage, request: pytest.FixtureRequest
) -> None:
    """What it prints when it dies is evidence, which is shown and kept with the backup in the bucket."""
    release = stage.project.build("3.0.0", shouts="scratch")
    with stage.searched(request):
        stage.inv("deploy", f"--release={release}")
        stage.inv("backup")
        failed = stage.inv("backup.verify", "--drill", expect=9)
        stage.inv("backup.list", "--json")
    assert "log: ENV_KEY=[hidden]" in failed.err


def test_no_log_of_a_defect_was_left(stage: Stage) -> None:
    assert list(stage.temporary.glob("turnout-*.log")) == []
