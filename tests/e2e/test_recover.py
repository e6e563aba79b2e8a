"""The machines are gone: the application comes back from the bucket, onto machines that had nothing."""

from __future__ import annotations

import pytest

from tests.e2e.loss import databases, lose, notes, releases, rows
from tests.e2e.project import Project
from tests.e2e.stored import sql

pytestmark = pytest.mark.lab


@pytest.fixture
def verified(project: Project, losable: int) -> int:
    """That backup, once it was tried."""
    project.inv("backup.verify", f"--backup={losable}")
    return losable


def test_a_backup_that_nobody_tried_is_only_taken_by_its_number(project: Project, first: str, losable: int) -> None:
    """Stands first: the bucket has no verified backup yet."""
    lose(project)
    refused = project.inv("recover", "--yes", expect=5)
    assert f"the newest is {losable}" in refused.err
    assert f"inv recover --backup={losable}" in refused.err
    assert databases(project) == []
    done = project.inv("recover", f"--backup={losable}", "--yes")
    assert "never verified" in done.err
    assert rows(project) == ["1", "2"]
    assert releases(project) == dict.fromkeys(project.lab.hosts, first)


def test_rows_files_and_release_come_back_and_the_report_says_how_long_it_took(
    project: Project, first: str, verified: int
) -> None:
    lose(project)
    report = project.inv("recover", "--yes", "--json").document
    assert rows(project) == ["1", "2"]
    assert notes(project) == {host: f"old-{host}" for host in project.lab.hosts}
    assert releases(project) == dict.fromkeys(project.lab.hosts, first)
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'app'"
    assert sql(project, owner, "postgres") == "app"
    assert (report["backup"], report["release"], report["changed"]) == (verified, first, list(project.lab.hosts))
    assert report["tables"]["public.journey"] == {"backup": 2, "restored": 2}
    phases = report["phases"]
    assert next(iter(phases)) == "begin"
    assert list(phases)[-3:] == ["unfreeze", "record", "tidy"]
    served = sum(seconds for step, seconds in phases.items() if step not in ("record", "tidy"))
    assert served <= report["rto_seconds"]
    assert report["rpo_seconds"] > 0
    assert "nothing to undo" in project.inv("rollback", "--undo", "--yes", expect=5).err
    assert project.inv("backup", "--json").document["number"] > verified
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    assert rows(project) == ["1", "2"]
    project.inv("rollback")


def test_an_empty_database_that_is_there_keeps_its_settings(project: Project, first: str, verified: int) -> None:
    lose(project)
    sql(project, "create database app owner app", "postgres")
    sql(project, "alter database app set work_mem to '7MB'", "postgres")
    done = project.inv("recover", f"--hosts={','.join(project.lab.hosts)}", "--yes")
    assert "database app is there and empty" in done.err
    assert "RTO " in done.out
    assert "public.journey" in done.out
    assert (rows(project), sql(project, "show work_mem")) == (["1", "2"], "7MB")
    live, kept = databases(project)
    assert (live, kept.startswith("app_before_")) == ("app", True)
    project.inv("backup.drop-old", "--yes")
    assert databases(project) == ["app"]
    sql(project, "alter database app reset work_mem", "postgres")


def test_one_machine_serves_until_the_other_one_follows(project: Project, first: str, verified: int) -> None:
    lose(project)
    done = project.inv("recover", "--hosts=h1", "--yes")
    assert "left out: h2" in done.err
    assert "the shared files of h2 go nowhere" in done.err
    assert releases(project) == {"h1": first, "h2": None}
    project.inv("deploy.catch-up")
    assert releases(project) == dict.fromkeys(project.lab.hosts, first)
