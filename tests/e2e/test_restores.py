"""Halves of a backup, the way back from a restore, and what restores keep until somebody drops it."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import note, sql, untouched, upload

pytestmark = pytest.mark.lab


def rows(project: Project) -> list[str]:
    return sql(project, "select * from journey order by 1").split()


def notes(project: Project) -> set[str]:
    return {note(project, host).removesuffix(f"-{host}") for host in project.lab.hosts}


def releases(project: Project) -> set[str | None]:
    return {release for _, release in project.live().values()}


def kept(project: Project) -> list[str]:
    return sql(project, "select datname from pg_database where datname like 'app_before_%' order by 1").split()


def test_an_undo_brings_back_rows_files_and_release_and_can_be_undone_itself(
    project: Project, first: str, saved: int
) -> None:
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    looked = project.inv("rollback", f"--backup={saved}", "--yes")
    assert "everything written since 20" in looked.err
    assert f"release: {second} now, {first} then" in looked.err
    (former,) = kept(project)
    sql(project, "insert into journey values (9)")
    upload(project, "later")

    undone = project.inv("rollback", "--undo", "--yes")
    assert "what was written since the restore is kept aside as app_before_" in undone.err
    assert (rows(project), notes(project), releases(project)) == (["3"], {"new"}, {second})
    assert former not in kept(project)
    assert len(kept(project)) == 1

    project.inv("rollback", "--undo", "--yes")
    assert (rows(project), notes(project), releases(project)) == (["1", "2", "9"], {"later"}, {first})


def test_a_deploy_after_a_restore_is_left_behind_by_its_undo(project: Project, first: str, saved: int) -> None:
    project.inv("rollback", f"--backup={saved}", "--db-only", "--yes")
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    undone = project.inv("rollback", "--undo", "--yes")
    assert f"left behind as well: deploy of {second}" in undone.err
    assert (rows(project), notes(project), releases(project)) == (["3"], {"new"}, {first})


def test_the_database_alone_goes_back_and_the_release_stays_in_its_slot(
    project: Project, first: str, saved: int
) -> None:
    second = project.build("2.0.0")
    project.inv("deploy", f"--release={second}")
    live = project.live()
    url = f"postgresql://app:secret@{project.lab.address('db')}:5432/app"
    project.environment["APP_DATABASE_URL"] = url
    database = {"via": "db", "name": "app", "user": "turnout", "password": "env:TURNOUT_DB_PASSWORD"}
    project.configure(
        secrets={"DATABASE_URL": "env:APP_DATABASE_URL"}, database={**database, "url_variable": "DATABASE_URL"}
    )
    done = project.inv("rollback", f"--backup={saved}", "--db-only", "--yes")
    project.configure()
    assert "the release is tried out on the restored database" in done.err
    assert "smoke     done" in done.err
    assert "public.journey" in done.err
    assert (rows(project), notes(project)) == (["1", "2"], {"new"})
    assert project.live() == live


def test_the_files_alone_go_back_and_come_again(project: Project, first: str, saved: int) -> None:
    live = project.live()
    project.inv("rollback", f"--backup={saved}", "--files-only", "--yes")
    assert (rows(project), notes(project), kept(project)) == (["3"], {"old"}, [])
    assert project.live() == live
    project.inv("rollback", "--undo", "--yes")
    assert (rows(project), notes(project)) == (["3"], {"new"})


def test_a_half_that_does_not_get_healthy_is_taken_back_and_its_release_is_not_bad(
    project: Project, first: str, saved: int
) -> None:
    with untouched(project):
        project.lab.execute("h1", "bash", "-c", "sed -i s/{}/x/ /var/app/small/slots/*/behaviour.json")
        project.inv("rollback", f"--backup={saved}", "--db-only", "--yes", expect=7)
        project.lab.execute("h1", "bash", "-c", "sed -i s/x/{}/ /var/app/small/slots/*/behaviour.json")
        project.inv("deploy.abort", "--yes")
    assert not any(first in seen["bad"] for seen in project.inv("status", "--json").document.values())


def test_what_restores_keep_is_listed_and_then_dropped_and_an_undo_says_so(
    project: Project, first: str, saved: int
) -> None:
    assert "nothing is kept" in project.inv("backup.drop-old").out
    project.inv("rollback", f"--backup={saved}", "--yes")
    (former,) = kept(project)
    listed = project.inv("backup.drop-old", "--json", expect=2).document
    assert [(one["where"], one["name"]) for one in listed][:1] == [("database", former)]
    assert [one["where"] for one in listed] == ["database", "h1", "h2"]
    assert all(one["size"] > 0 for one in listed)
    assert kept(project) == [former]
    project.inv("backup.drop-old", "--yes")
    assert kept(project) == []
    assert rows(project) == ["1", "2"]
    with untouched(project):
        refused = project.inv("rollback", "--undo", "--yes", expect=5)
    assert f"the database {former} is not there any more" in refused.err


def test_ways_back_that_contradict_each_other_are_refused(project: Project) -> None:
    assert "--backup=N --db-only" in project.inv("rollback", "--db-only", expect=3).err
    assert "exclude each other" in project.inv("rollback", "--backup=1", "--db-only", "--files-only", expect=3).err
    assert "different ways back" in project.inv("rollback", "--backup=1", "--undo", expect=3).err
    assert "different ways back" in project.inv("rollback", "--backup=1", "--at=2001-01-01 00:00 UTC", expect=3).err
    assert "engine is not pgbackrest" in project.inv("rollback", "--at=2001-01-01 00:00 UTC", "--yes", expect=3).err
