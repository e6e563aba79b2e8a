"""Backups that are tried beside the live system, the whole application started from one, and one taken home."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from fabfile.storage.s3 import S3Store
from tests.e2e.project import Project
from tests.e2e.stored import sql, untouched
from tests.e2e.unchanged import unchanged

pytestmark = pytest.mark.lab
DATABASE = {"via": "db", "name": "app", "user": "turnout", "password": "env:TURNOUT_DB_PASSWORD"}
URL = "postgresql://app:hunter22@10.0.0.1/app?sslmode=require"


def store(project: Project, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    for name, value in project.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    return S3Store("backups", "us-east-1", project.environment["S3_ENDPOINT"])


def row(project: Project, number: int) -> str:
    lines = project.inv("backup.list").out.splitlines()
    return next(line for line in lines if line.split()[0] == str(number))


def test_a_verification_notes_what_it_found_and_needs_no_lock(project: Project, first: str, saved: int) -> None:
    project.configure(smoke={"sql": {"rows": {"query": "SELECT count(*) = 2 FROM journey"}}})
    project.inv("lock.acquire", "--reason=database move", "--yes")
    try:
        with untouched(project):
            done = project.inv("backup.verify", f"--backup={saved}")
    finally:
        project.inv("lock.release", "--yes")
    assert f"backup {saved} restores: 2 rows in 1 tables" in done.out
    (found,) = [p for p in project.inv("backup.list", "--json").document if p["number"] == saved]
    assert found["verification"]["outcome"] == "passed"
    assert found["verified_at"] == found["verification"]["at"]
    assert f" {found['verified_at'][:10]} " in row(project, saved)
    project.configure()


def test_a_wrong_answer_and_a_damaged_part_are_failures_that_the_list_shows(
    project: Project, first: str, saved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.configure(smoke={"sql": {"rows": {"query": "SELECT count(*) = 3 FROM journey"}}})
    with untouched(project):
        wrong = project.inv("backup.verify", "--backup=latest", expect=9)
    assert "smoke.sql.rows: no row of 1 is true" in wrong.err
    assert "FAILED" in row(project, saved)
    project.configure()
    project.inv("backup.verify")
    assert "FAILED" not in row(project, saved)

    (found,) = [p for p in project.inv("backup.list", "--json").document if p["number"] == saved]
    (dump,) = [part for part in found["objects"] if part["name"] == "database"]
    bucket = store(project, monkeypatch)
    data = bucket.get(dump["key"])
    bucket.put(dump["key"], data[:100] + bytes([data[100] ^ 1]) + data[101:])
    with untouched(project):
        damaged = project.inv("backup.verify", "--all-unverified")
        assert f"backup {saved}" not in damaged.out
        damaged = project.inv("backup.verify", f"--backup={saved}", expect=9)
    assert "is damaged" in damaged.err
    assert "FAILED" in row(project, saved)
    bucket.put(dump["key"], data)
    again = project.inv("backup.verify", "--all-unverified")
    assert f"backup {saved} restores" in again.out


def test_a_verification_that_is_killed_is_cleared_away_by_the_next(project: Project, first: str, saved: int) -> None:
    sql(project, "create table journey_big as select i, repeat(md5(i::text), 20) t from generate_series(1, 200000) i")
    try:
        project.inv("backup")
        process = project.start("backup.verify")
        while "app_verify_" not in sql(project, "select datname from pg_database") and process.poll() is None:
            pass
        project.interrupt(process, signal.SIGKILL)
        left = sql(project, "select datname from pg_database where datname like 'app_verify_%'")
        assert left
        project.inv("backup.verify")
        assert sql(project, "select datname from pg_database where datname like 'app_verify_%'") == ""
        assert "app" in sql(project, "select datname from pg_database").split()
    finally:
        sql(project, "drop table journey_big")


def test_a_drill_starts_the_application_on_the_copy_and_leaves_no_trace(project: Project, first: str) -> None:
    teller = project.build("4.0.0", tells="/tmp/told")
    secrets = {"DATABASE_URL": "env:APP_URL"}
    project.environment["APP_URL"] = URL
    project.configure(database={**DATABASE, "url_variable": "DATABASE_URL"}, secrets=secrets)
    try:
        project.inv("deploy", f"--release={teller}")
        project.inv("backup")
        with unchanged(project):
            ports = project.lab.execute("h1", "ss", "-Hltn")
            kept = project.lab.execute("h1", "ls", "-A", "/var/app/small")
            done = project.inv("backup.verify", "--drill", "--json")
            assert project.lab.execute("h1", "ls", "-A", "/var/app/small") == kept
            assert project.lab.execute("h1", "ss", "-Hltn") == ports
        (point,) = done.document
        drill = point["verification"]["drill"]
        assert drill["host"] == "h1"
        assert list(drill["phases"]) == ["database", "files", "release", "unpack", "healthy"]
        slot, url = project.lab.execute("h1", "cat", "/tmp/told").splitlines()
        assert slot == "scratch"
        assert url.startswith("DATABASE_URL=postgresql://app:hunter22@10.0.0.1/app_verify_")
        assert url.endswith("?sslmode=require")
        assert "hunter22" not in done.text
        assert sql(project, "select datname from pg_database where datname like 'app_verify_%'") == ""
    finally:
        project.lab.execute("h1", "rm", "-f", "/tmp/told")
        project.configure()
        project.inv("deploy", f"--release={first}")


def test_a_drill_that_does_not_get_healthy_fails_the_backup(project: Project, first: str, saved: int) -> None:
    secrets = {"DATABASE_URL": "env:APP_URL"}
    project.environment["APP_URL"] = URL
    database = {**DATABASE, "url_variable": "DATABASE_URL"}
    project.configure(database=database, secrets=secrets, process={"script": "absent.js"})
    try:
        with untouched(project):
            failed = project.inv("backup.verify", f"--backup={saved}", "--drill", expect=9)
        assert "does not stay up in a scratch slot" in failed.err
        assert "Cannot find module" in failed.err
        project.configure()
        refused = project.inv("backup.verify", f"--backup={saved}", "--drill", expect=3)
        assert "database.url_variable is not set" in refused.err
    finally:
        project.configure()


@pytest.mark.parametrize("as_sql", [False, True])
def test_a_backup_that_was_pulled_restores_with_ordinary_tools(
    project: Project, first: str, saved: int, tmp_path: Path, as_sql: bool
) -> None:
    words = ["--sql"] if as_sql else []
    folder = Path(project.inv("backup.pull", str(saved), f"--to={tmp_path}", *words, "--json").document["folder"])
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=folder, check=True)
    (archive,) = folder.glob("backup-*.tar.gz")
    subprocess.run(["tar", "-xpzf", str(archive), "-C", str(tmp_path)], check=True)
    for host in project.lab.hosts:
        assert (tmp_path / "files" / host / "uploads" / "note.txt").read_text() == f"old-{host}\n"
    assert (tmp_path / "release" / "server.js").exists()
    (dump,) = folder.glob("db-backup-*")
    read = ["cat"] if as_sql else ["base64", "-w0"]
    text = subprocess.run([*read, str(dump)], check=True, capture_output=True, text=True).stdout
    restore = "psql -qX -v ON_ERROR_STOP=1 -d app_pulled"
    restore = restore if as_sql else "base64 -d | pg_restore --exit-on-error -d app_pulled"
    project.lab.execute("db", "createdb", "-T", "template0", "app_pulled", user="postgres")
    project.lab.execute("db", "bash", "-c", restore, user="postgres", text=text)
    assert sql(project, "select * from journey order by 1", "app_pulled").split() == ["1", "2"]
