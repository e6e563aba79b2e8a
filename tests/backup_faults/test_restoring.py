"""Whatever is wrong with a backup, the servers or the store: a restore ends before anything has changed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pyrage
import pytest

from tests.backup_faults.conftest import BACKUP, Bench
from tests.e2e.stored import sql, state, upload
from tests.seed_option import SEED

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

BUCKET = "backups"
ALWAYS = 1000


@dataclass(frozen=True)
class Fault:
    """What is wrong with which part of a backup, or with what it needs."""

    what: str
    part: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.part, self.what))).replace(" ", "-")


def all_faults(seed: int) -> list[Fault]:
    """Every fault there is, in a random order."""
    found = [Fault(what, part) for part in ("database", "files:h1") for what in ("cut", "flipped", "deleted")]
    # A bit of the release's archive is no matter as long as a host has a sound one.
    found += [Fault(what, "release") for what in ("cut", "deleted")]
    found += [Fault(f"answered with {what}", part) for part in ("pgdump", "files") for what in ("500", "cut", "short")]
    found += [Fault(what) for what in ("wrong key", "role missing", "extension missing", "newer server", "disk full")]
    random.Random(seed).shuffle(found)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", all_faults(metafunc.config.stash[SEED]), ids=str)


@pytest.fixture
def number(bench: Bench) -> Iterator[int]:
    """A backup's number, encrypted, and with a table of a role that nothing else needs; rows have changed since."""
    project = bench.project
    key = pyrage.x25519.Identity.generate()
    project.environment["AGE_KEY"] = str(key)
    project.configure(backup={**BACKUP, "recipients": [str(key.to_public())], "identity": "env:AGE_KEY"})
    sql(project, "create role passing; create table passed (i int); alter table passed owner to passing")
    sql(project, "drop table if exists journey; create table journey as select 1 id; alter table journey owner to app")
    upload(project, "old")
    number = int(project.inv("backup", "--json").document["number"])
    sql(project, "insert into journey values (2), (3)")
    upload(project, "new")
    yield number
    sql(project, "drop table journey; drop table if exists passed; drop role if exists passing")
    project.configure(backup=BACKUP)


def test_a_restore_that_cannot_be_had_changes_nothing(bench: Bench, number: int, fault: Fault) -> None:
    project = bench.project
    with broken(bench, number, fault):
        before = state(project)
        failed = project.start("rollback", f"--backup={number}", "--yes")
        err = failed.communicate(timeout=240)[1]
        assert failed.returncode not in (0, 7), err
        assert "HINT" in err
        assert "Traceback" not in err
        bad = 0
        if fault.part in ("database", "files:h1", "release"):
            assert not bench.restores(number)
            found = bench.listed().get(number)
            bad = int(found is not None and found["verification"]["outcome"] != "failed")
        missing = {"1", "2", "3"} - set(sql(project, "select id from journey").split())
        bench.count(bad=bad, lost=len(missing))
        assert state(project) == before
    project.inv("rollback", f"--backup={number}", "--yes")
    assert sql(project, "select id from journey") == "1"
    project.inv("rollback", "--undo", "--yes")
    assert sql(project, "select id from journey").split() == ["1", "2", "3"]
    project.inv("backup.drop-old", "--yes")


@contextmanager
def broken(bench: Bench, number: int, fault: Fault) -> Iterator[None]:
    """The fault, for as long as the block lasts."""
    project = bench.project
    match fault.what:
        case "cut" | "flipped" | "deleted":
            part = next(part for part in bench.listed()[number]["objects"] if part["name"] == fault.part)
            with damaged(bench, part["key"], fault.what):
                yield
        case "wrong key":
            right = project.environment["AGE_KEY"]
            project.environment["AGE_KEY"] = str(pyrage.x25519.Identity.generate())
            try:
                yield
            finally:
                project.environment["AGE_KEY"] = right
        case "role missing":
            sql(project, "alter table passed owner to app; drop role passing")
            try:
                yield
            finally:
                sql(project, "create role passing; alter table passed owner to passing")
        case "extension missing":
            with told(bench, number, extensions={"timescaledb": "2.14.2"}):
                yield
        case "newer server":
            with told(bench, number, server_version="99.1"):
                yield
        case "disk full":
            project.lab.fill("h1")
            try:
                yield
            finally:
                project.lab.drain("h1")
        case _:
            bench.faults.add(rf"GET .*{fault.part}", fault.what.split()[-1], ALWAYS)
            yield
            assert bench.faults.met
            bench.faults.clear()


@contextmanager
def damaged(bench: Bench, key: str, how: str) -> Iterator[None]:
    """An object that is not what it was."""
    store = client(bench)
    whole = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    middle = len(whole) // 2
    if how == "deleted":
        store.delete_object(Bucket=BUCKET, Key=key)
    else:
        rest = bytes([whole[middle] ^ 1]) + whole[middle + 1 :] if how == "flipped" else b""
        store.put_object(Bucket=BUCKET, Key=key, Body=whole[:middle] + rest)
    try:
        yield
    finally:
        store.put_object(Bucket=BUCKET, Key=key, Body=whole)


@contextmanager
def told(bench: Bench, number: int, **facts: Any) -> Iterator[None]:
    """A manifest that tells other facts of the database."""
    store, key = client(bench), f"faults/small/test/backups/{number:06d}/manifest.json"
    true = store.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    document = json.loads(true)
    document["database"].update(facts)
    store.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())
    try:
        yield
    finally:
        store.put_object(Bucket=BUCKET, Key=key, Body=true)


def client(bench: Bench) -> Any:
    """A client that goes around the proxy."""
    words = bench.project.lab.environment
    return boto3.client(
        "s3",
        region_name="us-east-1",
        endpoint_url=words["S3_ENDPOINT"],
        aws_access_key_id=words["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=words["AWS_SECRET_ACCESS_KEY"],
    )
