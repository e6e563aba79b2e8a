"""The whole database server back at any moment, with every change archived from the set-up on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import sql

pytestmark = pytest.mark.lab

PASSPHRASE = "orange lantern 42"
CLEAN = r"""
for name in archive_mode archive_command archive_timeout; do psql -qc "alter system reset $name"; done
rm -rf /etc/postgresql/15/main/pgbackrest /var/lib/postgresql/15/main.*
"""


@pytest.fixture(scope="module")
def project(project: Project) -> Iterator[Project]:
    """A project whose engine is pgBackRest; the server archives nothing before and after."""
    lab = project.lab
    project.environment["REPOSITORY_PASSPHRASE"] = PASSPHRASE
    database = {
        "via": "db",
        "name": "app",
        "user": "turnout",
        "password": "env:TURNOUT_DB_PASSWORD",
        "engine": "pgbackrest",
        "repository": {"passphrase": "env:REPOSITORY_PASSPHRASE"},
    }
    backup = {
        "bucket": "backups",
        "prefix": project.folder.name.lower(),
        "endpoint": "env:S3_TLS_ENDPOINT",
        "ca_file": lab.environment["S3_CA_FILE"],
    }
    project.always = {"database": database, "backup": backup}
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
    sql(project, "drop table if exists journey")


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


def test_a_dry_run_shows_every_change_but_no_secret_and_changes_nothing(project: Project, first: str) -> None:
    shown = project.inv("backup.pitr-setup", expect=2)
    for line in ("+repo1-cipher-type=aes-256-cbc", "archive_mode = 'on'", "must be restarted"):
        assert line in shown.err
    assert PASSPHRASE not in shown.text
    assert project.lab.environment["AWS_SECRET_ACCESS_KEY"] not in shown.text
    assert "pgbackrest" not in project.lab.execute("db", "ls", "/etc/postgresql/15/main")
    assert sql(project, "show archive_mode") == "off"
    unready = project.inv("backup.pitr-check", expect=1)
    assert "archive_mode is off" in unready.err


def test_a_set_up_is_whole_private_and_leaves_nothing_to_do(project: Project, archived: str) -> None:
    again = project.inv("backup.pitr-setup")
    assert again.out.strip() == "nothing to do"
    keys = "/etc/postgresql/15/main/pgbackrest/conf.d/repository.conf"
    assert project.lab.execute("db", "stat", "-c", "%a %U", keys).strip() == "600 postgres"
    logged = project.lab.execute("db", "bash", "-c", "cat /var/log/pgbackrest/* /var/log/postgresql/*")
    assert PASSPHRASE not in logged


def test_rows_of_a_moment_come_back_and_the_former_server_is_kept(project: Project, archived: str) -> None:
    taken = project.inv("backup", "--json").document
    assert taken["pgbackrest"]["label"].endswith(("F", "D"))
    time.sleep(1.1)
    sql(project, "insert into journey values (3)")
    moment = now(project)
    sql(project, "delete from journey; insert into journey values (4)")

    copy = project.inv("backup.pitr-restore", f"--at={moment}", "--json").document
    assert rows(project, str(copy["restored"]["port"])) == ["1", "2", "3"]
    assert rows(project) == ["4"]
    project.inv("backup.pitr-drop", f"--copy={copy['copy']}", "--yes")
    assert beside(project) == []

    done = project.inv("rollback", f"--at={moment}", "--yes")
    assert "s without a database" in done.err
    assert rows(project) == ["1", "2", "3"]
    assert {release for _, release in project.live().values()} == {archived}
    (kept,) = beside(project)
    assert kept.startswith("main.before-")
    assert "every change to the database is archived" in project.inv("status").err

    # The new past is the server's own: what follows on it can be reached, too.
    sql(project, "insert into journey values (5)")
    later = now(project)
    sql(project, "delete from journey")
    project.inv("rollback", f"--at={later}", "--yes")
    assert rows(project) == ["1", "2", "3", "5"]
    project.lab.execute("db", "bash", "-c", "rm -rf /var/lib/postgresql/15/main.before-*")


def test_a_backup_of_the_server_is_listed_and_brought_back_by_its_number(project: Project, archived: str) -> None:
    number = project.inv("backup", "--json").document["number"]
    sql(project, "delete from journey")
    project.inv("rollback", f"--backup={number}", "--yes")
    assert rows(project) == ["1", "2"]
    listed = project.inv("backup.list", "--json").document
    assert listed[0]["number"] == number
    project.lab.execute("db", "bash", "-c", "rm -rf /var/lib/postgresql/15/main.before-*")


def test_a_rollback_to_a_moment_that_fails_leaves_the_server_as_it_was(project: Project, archived: str) -> None:
    project.inv("backup")
    time.sleep(1.1)
    moment = now(project)
    sql(project, "insert into journey values (9)")
    project.configure(process={"script": "absent.js"}, health={"timeout": "4s", "stable": "1s"})
    failed = project.inv("rollback", f"--at={moment}", "--yes", expect=6)
    project.configure()
    assert "as they were" in failed.err
    assert rows(project) == ["1", "2", "9"]
    assert beside(project) == []


def test_a_moment_before_the_first_backup_and_one_to_come_are_refused(project: Project, archived: str) -> None:
    project.inv("backup")
    early = project.inv("rollback", "--at=2001-01-01 00:00 UTC", "--yes", expect=3)
    late = project.inv("rollback", "--at=2999-01-01 00:00 UTC", "--yes", expect=3)
    assert "the first moment that can be reached" in early.err
    assert "still to come" in late.err


def test_a_backup_that_pgbackrest_has_expired_is_not_listed(project: Project, archived: str) -> None:
    number = project.inv("backup", "--json").document["number"]
    label = project.inv("backup", "--json").document["pgbackrest"]["label"]
    expire = ("pgbackrest", "--config-path=/etc/postgresql/15/main/pgbackrest", "--stanza=small", f"--set={label}")
    project.lab.execute("db", *expire, "expire", user="postgres")
    listed = project.inv("backup.list", "--json").document
    assert listed[0]["number"] == number
    refused = project.inv("rollback", f"--backup={number + 1}", "--yes", expect=3)
    assert "is damaged" in refused.err


def test_an_interrupted_backup_leaves_no_number_and_no_process(project: Project, archived: str) -> None:
    sql(project, "create table journey_big as select i, md5(i::text || random()) t from generate_series(1, 600000) i")
    before = project.inv("backup.list", "--json").document
    try:
        process = project.start("backup")
        while not project.lab.execute("db", "bash", "-c", "pgrep -x pgbackrest; true").strip():
            assert process.poll() is None
        done = project.interrupt(process)
    finally:
        sql(project, "drop table journey_big")
    assert done.code == 130, done.text
    assert project.inv("backup.list", "--json").document == before
    time.sleep(1)
    running = project.lab.execute("db", "bash", "-c", "pgrep -af 'pgbackrest.* backup$'; true")
    assert running.strip() == ""


def test_archiving_that_fails_is_noticed_and_mended_by_a_new_set_up(project: Project, archived: str) -> None:
    project.inv("backup")
    conf = "/etc/postgresql/15/main/pgbackrest/pgbackrest.conf"
    project.lab.execute("db", "mv", conf, f"{conf}.lost")
    sql(project, "insert into journey values (6)")
    sql(project, "select pg_switch_wal()")  # not in one transaction: it would switch before the commit
    deadline = time.monotonic() + 60
    while "archiving WAL fails" not in project.inv("status").err:
        assert time.monotonic() < deadline
    failed = project.inv("backup.pitr-check", expect=1)
    assert "archiving WAL fails since" in failed.err
    assert "inv backup.pitr-setup" in failed.err
    project.inv("backup.pitr-setup", "--yes")
    assert project.inv("backup.pitr-check", "--json").document["archiver"]["failing"] is False
