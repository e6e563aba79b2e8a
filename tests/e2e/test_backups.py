"""Backups: whole and listed, or not there at all."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import sql, untouched

pytestmark = pytest.mark.lab


def test_a_dump_that_dies_leaves_no_backup(project: Project, first: str, saved: int) -> None:
    sql(project, "create table journey_big as select i, repeat(md5(i::text), 20) t from generate_series(1, 400000) i")
    before = project.inv("backup.list", "--json").document
    try:
        process = project.start("backup")
        killed = ""
        while not killed and process.poll() is None:
            killed = project.lab.execute("db", "bash", "-c", "pkill -KILL -x pg_dump && echo killed; true").strip()
        out, err = process.communicate(timeout=120)
    finally:
        sql(project, "drop table journey_big")
    assert killed == "killed"
    assert process.returncode == 1, out + err
    assert "HINT" in err
    assert project.inv("backup.list", "--json").document == before


def test_an_interrupted_backup_is_not_listed(project: Project, first: str, saved: int) -> None:
    sql(project, "create table journey_big as select i, repeat(md5(i::text), 20) t from generate_series(1, 400000) i")
    before = project.inv("backup.list", "--json").document
    try:
        process = project.start("backup")
        while not project.lab.execute("db", "bash", "-c", "pgrep -x pg_dump; true").strip() and process.poll() is None:
            pass
        done = project.interrupt(process)
    finally:
        sql(project, "drop table journey_big")
    assert done.code == 130, done.text
    assert project.inv("backup.list", "--json").document == before
    assert project.lab.execute("db", "bash", "-c", "pgrep -x pg_dump; true").strip() == ""


def test_an_unreachable_store_fails_a_backup_and_a_deploy_that_wants_one(
    project: Project, first: str, saved: int
) -> None:
    second = project.build("2.0.1")
    backup = {"bucket": "backups", "prefix": "other", "endpoint": "env:S3_ENDPOINT", "before_deploy": True}
    project.configure(backup=backup)
    project.lab.cut("s3")
    try:
        with untouched(project):
            failed = project.inv("backup", expect=1)
            refused = project.inv("deploy", f"--release={second}", expect=6)
            assert "stopped at" not in project.inv("status").out
    finally:
        project.lab.heal("s3")
        project.configure()
    for done in (failed, refused):
        assert project.lab.environment["S3_ENDPOINT"] in done.err
        assert "HINT" in done.err


def test_a_deploy_takes_a_backup_first_where_the_environment_wants_it(project: Project, first: str, saved: int) -> None:
    second = project.build("2.0.2")
    backup = {"bucket": "backups", "prefix": "wanted", "endpoint": "env:S3_ENDPOINT", "before_deploy": True}
    project.configure(backup=backup)
    try:
        project.inv("deploy", f"--release={second}")
        listed = project.inv("backup.list", "--json").document
    finally:
        project.configure()
    assert [point["reason"] for point in listed] == [f"before deploy of {second}"]
    assert listed[0]["release"] == first


def test_what_retention_gives_up_is_shown_first_and_deleted_when_told(project: Project, first: str) -> None:
    retention = {"six_hourly": None, "daily": None, "unverified": "1s", "min_keep": 1}
    backup = {"bucket": "backups", "prefix": "pruned", "endpoint": "env:S3_ENDPOINT", "retention": retention}
    project.configure(backup=backup)
    try:
        kept = project.inv("backup.create-db", "--label=before the sale", "--keep-forever", "--json").document
        full = project.inv("backup", "--json").document
        listed = project.inv("backup.list").out
        assert "before the sale" in listed
        assert "forever" in listed
        assert project.inv("backup.prune", "--json").document["backups"][0]["keep"]  # nothing is verified yet
        project.inv("backup.keep", str(kept["number"]), "--no-forever")
        project.inv("backup.keep", "latest")
        found = {p["number"]: p for p in project.inv("backup.list", "--json").document}
        assert (found[kept["number"]]["keep_forever"], found[full["number"]]["keep_forever"]) == (False, True)
        assert project.inv("backup.prune", "--yes", "--json").document["deleted"] is True
        assert len(project.inv("backup.list", "--json").document) == 2
    finally:
        project.configure()


def test_the_bucket_is_set_up_once(project: Project) -> None:
    shown = project.inv("bucket.setup", "--json", expect=2).document["findings"]
    assert {finding["setting"] for finding in shown if finding["request"]} >= {"versioning", "lifecycle"}
    project.inv("bucket.setup", "--yes")
    assert not any(finding["request"] for finding in project.inv("bucket.setup", "--json").document["findings"])
    assert "s3:DeleteObject" not in project.inv("bucket.setup", "--policy").out
