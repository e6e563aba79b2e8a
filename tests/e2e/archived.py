"""A project whose database server is archived by pgBackRest, and what lies on that server and beside it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import sql

PASSPHRASE = "orange lantern 42"
DATABASE: dict[str, Any] = {
    "via": "db",
    "name": "app",
    "user": "turnout",
    "password": "env:TURNOUT_DB_PASSWORD",
    "engine": "pgbackrest",
    "repository": {"passphrase": "env:REPOSITORY_PASSPHRASE"},
}
CLEAN = r"""
for name in archive_mode archive_command archive_timeout; do psql -qc "alter system reset $name"; done
rm -rf /etc/postgresql/15/main/pgbackrest /var/lib/postgresql/15/main.*
"""


@pytest.fixture(scope="module")
def project(project: Project) -> Iterator[Project]:
    """A project whose engine is pgBackRest; the server archives nothing before and after."""
    lab = project.lab
    project.environment["REPOSITORY_PASSPHRASE"] = PASSPHRASE
    backup = {
        "bucket": "backups",
        "prefix": project.folder.name.lower(),
        "endpoint": "env:S3_TLS_ENDPOINT",
        "ca_file": lab.environment["S3_CA_FILE"],
    }
    project.always = {"database": DATABASE, "backup": backup}
    project.configure()
    yield project
    lab.execute("db", "bash", "-c", CLEAN, user="postgres")
    lab.execute("db", "systemctl", "restart", "postgresql@15-main")


@pytest.fixture
def archived(project: Project, first: str) -> Iterator[str]:
    """The server archives every change, and the table holds 1 and 2; the release that is live."""
    project.inv("backup.pitr-setup", "--yes", "--restart")
    sql(project, "drop table if exists journey; create table journey (id int primary key)")
    sql(project, "insert into journey values (1), (2)")
    yield first
    project.inv("backup.drop-old", "--yes")
    sql(project, "drop table if exists journey")


@pytest.fixture
def moment(project: Project, archived: str) -> str:
    """When the table held 1, 2 and 3, with a backup from which that is reached; since then it holds 4 alone."""
    project.inv("backup")
    time.sleep(1.1)
    sql(project, "insert into journey values (3)")
    found = now(project)
    sql(project, "delete from journey; insert into journey values (4)")
    return found


def rows(project: Project, port: str = "5432") -> list[str]:
    words = ("psql", "-qAt", "-p", port, "-d", "app", "-c", "select id from journey order by 1")
    return project.lab.execute("db", *words, user="postgres").split()


def now(project: Project) -> str:
    """The moment by the server's clock, apart from what is committed before and after."""
    time.sleep(0.2)
    found = sql(project, "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')")
    time.sleep(0.2)
    return f"{found} UTC"


def beside(project: Project) -> list[str]:
    """What lies in the server's folder beside the live server."""
    return [name for name in project.lab.execute("db", "ls", "/var/lib/postgresql/15").split() if name != "main"]
