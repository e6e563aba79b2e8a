"""Fixtures for journeys: a user's project on hosts that nobody deployed to yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.lab.lab import Lab
from tests.e2e.loss import put_back
from tests.e2e.project import Project, on_bare_hosts
from tests.e2e.shelf import BASE, clear
from tests.e2e.stored import sql, upload
from tests.e2e.visitor import Visitor


@pytest.fixture(scope="module")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose hosts are bare at the beginning and at the end of each test module."""
    with on_bare_hosts(tmp_path_factory.mktemp("project"), lab) as found:
        yield found


@pytest.fixture
def first(project: Project) -> str:
    """A release that is live on every host when the test begins: the one it finds, mended, or a new one; its id."""
    release = project.sound() or project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    return release


@pytest.fixture
def saved(project: Project, first: str) -> Iterator[int]:
    """A backup's number, taken when the table held 1 and 2 and the note said `old`; everything has moved on since."""
    sql(project, "drop table if exists journey; create table journey (id int primary key)")
    sql(project, "insert into journey values (1), (2)")
    upload(project, "old")
    number = int(project.inv("backup", "--json").document["number"])
    sql(project, "delete from journey; insert into journey values (3)")
    upload(project, "new")
    yield number
    sql(project, "drop table if exists journey")
    for name in sql(project, "select datname from pg_database where datname like 'app_%'").split():
        sql(project, f'drop database "{name}"', "postgres")
    for host in project.lab.hosts:
        project.lab.execute(host, "bash", "-c", "rm -rf /var/app/small/.shared.*")


@pytest.fixture
def losable(project: Project, saved: int) -> Iterator[int]:
    """That backup's number, for a test that loses hosts and database; there is a database again at the end."""
    yield saved
    put_back(project)


@pytest.fixture
def shelf(project: Project) -> Iterator[str]:
    """A new release with one migration, live on every host, in an environment that has a folder of them; its id."""
    project.always["migrations"] = {"folder": "migrations", "lock_timeout": "500ms"}
    project.configure()
    project.files = {"migrations/001_base.sql": BASE}
    clear(project)
    release = project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    yield release
    clear(project)
    project.files = {}
    del project.always["migrations"]
    project.configure()


@pytest.fixture
def visitor(project: Project) -> Visitor:
    """Somebody who uses every host, once entered."""
    return Visitor([project.lab.address(host) for host in project.lab.hosts])


@pytest.fixture
def dist(project: Project) -> Path:
    """Where releases are built to."""
    return project.folder / "dist"
