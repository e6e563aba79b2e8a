"""The whole database server back at any moment, with every change archived from the set-up on."""

from __future__ import annotations

import time

import pytest

from tests.e2e.archived import PASSPHRASE, archived, beside, moment, now, project, rows
from tests.e2e.project import Project
from tests.e2e.stored import sql

__all__ = ["archived", "moment", "project"]
pytestmark = pytest.mark.lab


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


def test_rows_of_a_moment_come_back_and_the_former_server_is_kept(project: Project, archived: str, moment: str) -> None:
    copy = project.inv("backup.pitr-restore", f"--at={moment}", "--json").document
    assert rows(project, str(copy["restored"]["port"])) == ["1", "2", "3"]
    assert rows(project) == ["4"]
    assert project.inv("backup.pitr-check", "--json").document["copies"] == [copy["copy"]]
    project.inv("backup.pitr-drop", f"--copy={copy['copy']}", "--yes")
    assert beside(project) == []

    live = project.live()
    done = project.inv("rollback", f"--at={moment}", "--yes")
    assert "s without a database" in done.err
    assert rows(project) == ["1", "2", "3"]
    assert project.live() == live
    (kept,) = beside(project)
    assert kept.startswith("main.before-")
    assert "every change to the database is archived" in project.inv("status").err

    # The new past is the server's own: what follows on it can be reached, too.
    sql(project, "insert into journey values (5)")
    later = now(project)
    sql(project, "delete from journey")
    project.inv("rollback", f"--at={later}", "--yes")
    assert rows(project) == ["1", "2", "3", "5"]


def test_a_rollback_to_a_moment_that_fails_leaves_the_server_as_it_was(
    project: Project, archived: str, moment: str
) -> None:
    project.configure(process={"script": "absent.js"}, health={"timeout": "4s", "stable": "1s"})
    failed = project.inv("rollback", f"--at={moment}", f"--to={archived}", "--yes", expect=6)
    project.configure()
    assert "as they were" in failed.err
    assert rows(project) == ["4"]
    assert beside(project) == []


def test_a_copy_that_answers_wrongly_never_takes_the_servers_place(
    project: Project, archived: str, moment: str
) -> None:
    project.configure(smoke={"sql": {"rows": {"query": "SELECT count(*) = 9 FROM journey"}}})
    failed = project.inv("rollback", f"--at={moment}", "--yes", expect=6)
    project.configure()
    assert "smoke.sql.rows: no row of 1 is true" in failed.err
    assert rows(project) == ["4"]
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
    assert "archiving WAL fails" in project.inv("backup.check", expect=1).out
    failed = project.inv("backup.pitr-check", expect=1)
    assert "archiving WAL fails since" in failed.err
    assert "inv backup.pitr-setup" in failed.err
    project.inv("backup.pitr-setup", "--yes")
    assert project.inv("backup.pitr-check", "--json").document["archiver"]["failing"] is False
