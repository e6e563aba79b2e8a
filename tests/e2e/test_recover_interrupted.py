"""A recovery whose operator dies is finished or taken back by any machine, and does nothing twice."""

from __future__ import annotations

import http.client

import pytest

from tests.e2e.loss import databases, lose, notes, releases, rows
from tests.e2e.project import Project
from tests.e2e.stored import sql
from tests.e2e.test_interrupted import killed_at

pytestmark = pytest.mark.lab


@pytest.fixture
def lost(project: Project, losable: int) -> int:
    """The number of the backup that is left of everything."""
    lose(project)
    return losable


def answer(project: Project, host: str) -> int | None:
    """The status that users get; None where nobody answers."""
    connection = http.client.HTTPConnection(project.lab.address(host), timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def whole_and_once(project: Project, release: str) -> None:
    """All that the backup holds is there, once."""
    assert rows(project) == ["1", "2"]
    assert notes(project) == {host: f"old-{host}" for host in project.lab.hosts}
    assert releases(project) == dict.fromkeys(project.lab.hosts, release)
    live, kept = databases(project)
    assert (live, kept.startswith("app_before_")) == ("app", True)
    document = project.inv("status", "--json").document
    for host, seen in document.items():
        assert seen["pending"] == ""
        assert [entry["verb"] for entry in seen["history"]] == ["recover"]
        assert [process["status"] for process in seen["processes"]] == ["online"]
        assert seen["releases"] == [release]
        names = project.lab.execute(host, "bash", "-c", "cd /var/app/small && ls -d .shared* && ls shared/uploads")
        before, *uploads = names.split()
        assert (before.startswith(".shared.before-"), uploads) == (True, ["note.txt"])


@pytest.mark.parametrize(
    ("step", "event"),
    [
        ("load-db", "step-started"),
        ("swap-db", "step-started"),
        ("swap-files", "step-done"),
        ("confirm", "step-done"),
    ],
)
def test_a_recovery_that_died_is_finished_and_nothing_is_there_twice(
    project: Project, first: str, lost: int, step: str, event: str
) -> None:
    killed_at(project, step, "recover", f"--backup={lost}", "--yes", event=event)
    if step == "confirm":
        assert {answer(project, host) for host in project.lab.hosts} == {503}
    refused = project.inv("recover", f"--backup={lost}", "--yes", expect=5)
    assert "inv deploy.resume" in refused.err
    assert f"recover of {first} by" in project.inv("status").err
    report = project.inv("deploy.resume", "--yes", "--json").document
    assert (report["backup"], report["release"]) == (lost, first)
    assert report["rto_seconds"] > 0
    whole_and_once(project, first)
    assert {answer(project, host) for host in project.lab.hosts} == {200}


def test_a_recovery_that_died_is_taken_back_and_can_be_begun_again(project: Project, first: str, lost: int) -> None:
    killed_at(project, "swap-files", "recover", f"--backup={lost}", "--yes", event="step-done")
    assert "all is as it was" in project.inv("deploy.abort", "--yes").out
    assert releases(project) == dict.fromkeys(project.lab.hosts)
    assert databases(project) == ["app"]
    assert sql(project, "select count(*) from pg_tables where schemaname = 'public'") == "0"
    project.inv("recover", f"--backup={lost}", "--yes")
    whole_and_once(project, first)


def test_a_release_that_does_not_get_healthy_leaves_the_machines_bare(project: Project, first: str, lost: int) -> None:
    project.configure(process={"script": "absent.js"}, health={"timeout": "4s", "stable": "1s"})
    try:
        failed = project.inv("recover", f"--backup={lost}", "--yes", expect=6)
    finally:
        project.configure()
    assert "as they were" in failed.err
    assert releases(project) == dict.fromkeys(project.lab.hosts)
