"""Backups of a whole server by their numbers, and the way back from a restore of one, also for who dies meanwhile."""

from __future__ import annotations

import time

import pytest

from tests.e2e.archived import archived, beside, moment, now, project, rows
from tests.e2e.project import Project
from tests.e2e.stored import note, sql, upload
from tests.e2e.test_interrupted import killed_at

__all__ = ["archived", "moment", "project"]
pytestmark = pytest.mark.lab


def test_a_backup_of_the_server_comes_back_by_its_number_with_its_files(project: Project, archived: str) -> None:
    upload(project, "old")
    taken = project.inv("backup", "--json").document
    assert taken["pgbackrest"]["label"].endswith(("F", "D"))
    sql(project, "delete from journey")
    upload(project, "new")
    done = project.inv("rollback", f"--backup={taken['number']}", "--yes")
    assert "every database on the server goes back: app" in done.err
    assert rows(project) == ["1", "2"]
    assert note(project, "h1") == "old-h1"
    listed = project.inv("backup.list", "--json").document
    assert [(one["kind"], one["pgbackrest"] is None) for one in listed[:2]] == [("files", True), ("full", False)]

    project.inv("rollback", "--undo", "--yes")
    assert rows(project) == []
    assert note(project, "h1") == "new-h1"


def test_an_undo_brings_back_the_former_server_and_its_past(project: Project, archived: str, moment: str) -> None:
    project.inv("rollback", f"--at={moment}", "--yes")
    (kept,) = beside(project)
    sql(project, "insert into journey values (8)")
    undone = project.inv("rollback", "--undo", "--yes")
    assert "the whole database server return as they were then" in undone.err
    assert rows(project) == ["4"]
    assert kept not in beside(project)

    # What is archived from here on belongs to that past, also after a backup that was taken in it.
    sql(project, "insert into journey values (5)")
    project.inv("backup")
    time.sleep(1.1)
    later = now(project)
    sql(project, "delete from journey")
    project.inv("backup.pitr-check")
    project.inv("rollback", f"--at={later}", "--yes")
    assert rows(project) == ["4", "5"]
    project.inv("rollback", "--undo", "--yes")
    project.inv("rollback", "--undo", "--yes")
    assert rows(project) == ["4", "5"]


def test_what_restores_keep_of_servers_is_listed_and_dropped_and_an_undo_says_so(
    project: Project, archived: str, moment: str
) -> None:
    project.inv("rollback", f"--at={moment}", "--yes")
    (kept,) = beside(project)
    (listed,) = project.inv("backup.drop-old", "--json", expect=2).document
    assert (listed["where"], listed["name"]) == ("server", f"/var/lib/postgresql/15/{kept}")
    assert listed["size"] > 1 << 20
    project.inv("backup.drop-old", "--yes")
    assert beside(project) == []
    refused = project.inv("rollback", "--undo", "--yes", expect=5)
    assert f"{kept} is not there any more" in refused.err
    assert rows(project) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("step", "ending"),
    [("load-server", "deploy.abort"), ("swap-server", "deploy.abort"), ("swap-server", "deploy.resume")],
)
def test_whoever_dies_meanwhile_the_server_is_the_one_or_the_other(
    project: Project, archived: str, moment: str, step: str, ending: str
) -> None:
    killed_at(project, step, "rollback", f"--at={moment}", "--yes")
    project.inv(ending, "--yes")
    assert rows(project) == (["4"] if ending == "deploy.abort" else ["1", "2", "3"])
    assert [name.partition("-")[0] for name in beside(project)] == ([] if ending == "deploy.abort" else ["main.before"])


def test_a_verification_restores_the_whole_server_beside_and_leaves_nothing(project: Project, archived: str) -> None:
    number = project.inv("backup", "--json").document["number"]
    done = project.inv("backup.verify", f"--backup={number}")
    assert f"backup {number} restores: the whole server" in done.out
    assert beside(project) == []
    assert rows(project) == ["1", "2"]
    assert project.inv("backup.check", "--json").document["archiving"] is None
    assert "holds the whole server" in project.inv("backup.verify", "--drill", expect=3).err
    assert "in pgBackRest's repository" in project.inv("backup.pull", "latest", "--sql", expect=3).err
    assert "kept forever" in project.inv("backup.keep", "latest", expect=3).err
