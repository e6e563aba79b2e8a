"""The way back to a backup: files and database together, or nothing at all."""

from __future__ import annotations

import http.client
import random
import signal
import time

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import sql, state, untouched
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


def test_a_rollback_to_a_backup_brings_rows_and_files_back_and_keeps_what_was_there(
    project: Project, first: str, saved: int
) -> None:
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    project.inv("rollback", f"--backup={saved}", "--yes")
    assert sql(project, "select * from journey order by 1").split() == ["1", "2"]
    assert {release for _, release in project.live().values()} == {first}
    for host in project.lab.hosts:
        note = project.lab.execute(host, "cat", "/var/app/small/shared/uploads/note.txt")
        assert note.strip() == f"old-{host}"
        kept = project.lab.execute(host, "bash", "-c", "cat /var/app/small/.shared.before-*/uploads/note.txt")
        assert kept.strip() == f"new-{host}"
    former = sql(project, "select datname from pg_database where datname like 'app_before_%'")
    sql(project, f'alter database "{former}" allow_connections true', "postgres")
    assert sql(project, "select * from journey", former) == "3"
    listed = project.inv("backup.list", "--json").document
    assert [point["number"] for point in listed[:2]] == [saved + 1, saved]
    assert listed[0]["reason"] == f"safety before rollback to backup {saved}"
    assert (
        sql(project, "select rolname from pg_database d join pg_roles r on r.oid = datdba where datname='app'") == "app"
    )


def test_visitors_get_503_with_retry_after_while_a_restore_swaps_and_nothing_else(
    project: Project, first: str, saved: int, visitor: Visitor
) -> None:
    with visitor:
        project.inv("rollback", f"--backup={saved}", "--yes")
    statuses = {line.rsplit(": ", 1)[1] for line in visitor.failures}
    assert statuses == {"503"}
    assert visitor.answers[first] > 10


def test_a_restore_that_does_not_get_healthy_is_taken_back(project: Project, first: str, saved: int) -> None:
    project.configure(health={"timeout": "4s", "stable": "1s", "path": "/api/health", "request_timeout": "1s"})
    project.lab.execute("db", "true")
    with untouched(project):
        project.configure(process={"script": "absent.js"}, health={"timeout": "4s", "stable": "1s"})
        failed = project.inv("rollback", f"--backup={saved}", "--yes", expect=6)
    project.configure()
    assert "as they were" in failed.err


def test_a_restore_interrupted_at_any_moment_is_taken_back(project: Project, first: str, saved: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        moment = chance.uniform(1.0, 8.0)
        before = state(project)
        process = project.start("rollback", f"--backup={saved}", "--yes")
        time.sleep(moment)
        done = project.interrupt(process)
        if done.code == 0:  # users were writing again: from there it is finished, not taken back
            assert sql(project, "select * from journey order by 1").split() == ["1", "2"]
            return
        assert done.code == 130, f"after {moment:.1f} s: {done.text}"
        assert state(project) == before, f"after {moment:.1f} s"


def test_a_restore_whose_operator_dies_while_frozen_is_explained_and_ended(
    project: Project, first: str, saved: int, visitor: Visitor
) -> None:
    with untouched(project):
        process = project.start("rollback", f"--backup={saved}", "--yes")
        while "maintenance" not in project.lab.execute("h1", "ls", "/etc/nginx/turnout") and process.poll() is None:
            pass
        assert project.interrupt(process, signal.SIGKILL).code == -signal.SIGKILL
        assert "inv deploy.abort" in project.inv("status").err
        assert "stopped at" in project.inv("deploy", f"--release={first}", expect=5).err
        assert "inv deploy.abort" in project.inv("maintenance.off", expect=5).err
        project.inv("deploy.abort")
    with visitor:
        project.inv("plan", f"--release={first}")
    assert visitor.failures == []


def test_maintenance_answers_503_and_ends(project: Project, first: str) -> None:
    project.inv("maintenance.on")
    connection = http.client.HTTPConnection(project.lab.address("h1"), timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert (response.status, response.getheader("Retry-After")) == (503, "30")
    connection.close()
    project.inv("maintenance.off")
    assert project.inv("plan", f"--release={first}").code == 0


def test_a_backup_that_does_not_exist_and_a_missing_confirmation_change_nothing(
    project: Project, first: str, saved: int
) -> None:
    with untouched(project):
        missing = project.inv("rollback", "--backup=999", "--yes", expect=3)
        unconfirmed = project.inv("rollback", f"--backup={saved}", expect=3)
    assert "there is no backup 999" in missing.err
    assert "--yes" in unconfirmed.err
