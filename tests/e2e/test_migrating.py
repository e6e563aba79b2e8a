"""Migrations that are interrupted, taken back, or applied without a deploy."""

from __future__ import annotations

import json
import time

import pytest

from tests.e2e.project import Project
from tests.e2e.shelf import COLUMN, SLOW, add, applied, killed_at, traces
from tests.e2e.stored import sql

pytestmark = pytest.mark.lab


def test_a_deploy_that_died_while_migrating_is_resumed_and_applies_nothing_twice(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n003_slow=SLOW)
    second = project.build("2.4.0")
    killed_at(project, "migrate", "deploy", f"--release={second}")
    project.inv("deploy.resume")
    assert applied(project) == ["001_base", "002_colour", "003_slow"]
    assert sorted(traces(project)) == ["column", "slow"]
    assert {release for _, release in project.live().values()} == {second}


def test_an_abort_says_what_stays_and_it_can_be_taken_back_on_request(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n002_colour_down="ALTER TABLE shelf DROP COLUMN colour;\n", n003_slow=SLOW)
    second, before = project.build("2.5.0"), project.live()
    killed_at(project, "migrate", "deploy", f"--release={second}")
    done = project.inv("deploy.abort")
    assert "stays in the database: 002_colour" in done.err
    assert project.live() == before
    assert "wants a confirmation" in project.inv("migrate.down", expect=3).err
    project.inv("migrate.down", "--yes")
    assert applied(project) == ["001_base"]
    assert sql(project, "select count(*) from information_schema.columns where column_name = 'colour'") == "0"
    project.inv("deploy", f"--release={second}")
    assert applied(project)[-1] == "003_slow"


def test_what_runs_keeps_its_migrations(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n002_colour_down="ALTER TABLE shelf DROP COLUMN colour;\n")
    second = project.build("2.6.0")
    project.inv("deploy", f"--release={second}")
    refused = project.inv("migrate.down", "--yes", expect=5).err
    assert f"002_colour: {second} runs and holds it" in refused
    assert applied(project)[-1] == "002_colour"


def test_a_backup_and_a_migration_do_not_meet(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n003_slow=SLOW)
    second = project.build("2.8.0")
    process = project.start("deploy", f"--release={second}", "--json")
    assert process.stdout
    while json.loads(process.stdout.readline()).get("step") != "migrate":
        pass
    assert "deploy" in project.inv("backup.create-db", "--lock-wait=0s", expect=4).err
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err


def test_a_release_migrates_without_being_deployed(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n003_drop="-- contract\nALTER TABLE shelf DROP COLUMN name;\n")
    second, before = project.build("2.9.0"), project.live()
    planned = project.inv("migrate", f"--release={second}", "--plan", "--json", expect=2).document
    assert planned["migrations"][-1] == "002_colour"
    assert planned["waiting"] == ["003_drop"]
    project.inv("migrate", f"--release={second}")
    assert applied(project) == ["001_base", "002_colour"]
    assert project.live() == before
    project.inv("deploy", f"--release={second}")
    assert applied(project)[-1] == "003_drop"


def test_ctrl_c_ends_the_statement_and_says_what_stays(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n003_slow=SLOW)
    second = project.build("2.9.2")
    process, line = project.start("migrate", f"--release={second}"), "begun"
    assert process.stderr
    while "002_colour (expand) applied" not in line:
        assert line, "it ended before that"
        line = process.stderr.readline()
    time.sleep(1)
    done = project.interrupt(process)
    assert (done.code, "every migration that had ended stays as it is" in done.err) == (130, True), done.text
    assert applied(project) == ["001_base", "002_colour"]
    assert "nobody holds a lock" in project.inv("lock.status").out
    project.inv("migrate", f"--release={second}")
    assert applied(project) == ["001_base", "002_colour", "003_slow"]
    assert sorted(traces(project)) == ["column", "slow"]


def test_a_freeze_keeps_a_migration_out_and_a_hotfix_is_kept_with_its_reason(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN, n002_colour_down="ALTER TABLE shelf DROP COLUMN colour;\n")
    second = project.build("2.9.1")
    project.configure(calendar={"freezes": ["1 Jan - 31 Dec"]})
    refused = project.inv("migrate", f"--release={second}", expect=5).err
    assert "test takes no deploys now: the freeze 1 Jan - 31 Dec" in refused
    assert "a reason" in project.inv("migrate", f"--release={second}", "--hotfix", expect=3).err
    assert applied(project) == ["001_base"]
    project.inv("migrate", f"--release={second}", "--hotfix", "--reason=the disk fills up")
    assert applied(project) == ["001_base", "002_colour"]
    assert "takes no deploys now" in project.inv("migrate.down", "--yes", expect=5).err
    project.inv("migrate.down", "--yes", "--hotfix", "--reason=it was wrong")
    assert applied(project) == ["001_base"]
    for host in project.lab.hosts:
        lines = project.lab.execute(host, "tail", "-n", "2", "/var/app/small/.turnout/verdicts.jsonl").splitlines()
        kept = [(line["verb"], line["what"], line["hotfix"]) for line in map(json.loads, lines)]
        assert kept == [
            ("migrate", second, "the disk fills up"),
            ("migrate-down", "down-002_colour", "it was wrong"),
        ]
