"""A backup as ordinary files: read with the ordinary tools, and whole or not there."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from fabfile.errors import BadInput, Refused, StorageError, TurnoutError, Unverified
from fabfile.model.recovery_point import Kind, RecoveryPoint
from fabfile.recovery.capture import capture
from fabfile.recovery.pulled import pull
from fabfile.recovery.scope import Scope
from fabfile.remote.local import LocalHost
from tests.unit.recovery.test_capture_and_restore import MemoryDatabase, with_server
from tests.unit.recovery.test_verify import RUN, release_in, scope

__all__ = ["scope"]

ODD = ("a b", "new\nline", "-rf", "'quo\"te$(x)", "ümläut", "*", "x" * 200, os.fsdecode(b"latin-\xe9"))
DUMP = b"PGDMP" + bytes(range(256)) * 100


@pytest.fixture
def point(scope: Scope) -> RecoveryPoint:
    uploads = Path(scope.paths.shared, "uploads")
    for name in ODD:
        (uploads / name).write_text(name, errors="surrogateescape")
    (uploads / "script").write_bytes(b"#!/bin/sh")
    (uploads / "script").chmod(0o750)
    (uploads / "hard").hardlink_to(uploads / "script")
    (uploads / "soft").symlink_to("/nowhere/at all")
    (uploads / "empty").mkdir(mode=0o700)
    for entry in (*uploads.iterdir(), uploads):
        os.utime(entry, ns=(1, 1_700_000_000_123_456_789), follow_symlinks=False)
    database = MemoryDatabase(dumped=(zstandard.compress(DUMP),))
    return capture(replace(scope, database=database), "full", "manual", RUN, release_in(scope.paths.releases))


def tree(folder: Path) -> dict[str, tuple[int, int, object]]:
    """Every entry with its mode, its time and its content or target."""
    found: dict[str, tuple[int, int, object]] = {}
    for entry in sorted(folder.rglob("*")):
        about = entry.lstat()
        content = os.readlink(entry) if entry.is_symlink() else entry.read_bytes() if entry.is_file() else None  # noqa: PTH115
        found[str(entry.relative_to(folder))] = (about.st_mode, about.st_mtime_ns // 1000, content)
    return found


def test_tar_gives_every_file_back_as_it_was_and_the_sums_are_right(
    scope: Scope, point: RecoveryPoint, tmp_path: Path
) -> None:
    folder = pull(scope, point, tmp_path, as_sql=False)
    moment = point.created_at.replace(":", "").replace("-", "")
    archive, dump = f"backup-{moment}.tar.gz", f"db-backup-{moment}.dump"
    assert folder == tmp_path / "example-demo-1"
    assert sorted(file.name for file in folder.iterdir()) == sorted(["README", "SHA256SUMS", archive, dump])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True)
    assert (folder / "SHA256SUMS").read_text().count("\n") == 3
    assert (folder / dump).read_bytes() == DUMP
    (tmp_path / "unpacked").mkdir()
    subprocess.run(["tar", "-xpzf", str(folder / archive), "-C", str(tmp_path / "unpacked")], check=True)
    unpacked = tmp_path / "unpacked"
    assert tree(unpacked / "files" / "h1") == tree(Path(scope.paths.shared))
    inode = (unpacked / "files" / "h1" / "uploads" / "hard").stat().st_ino
    assert inode == (unpacked / "files" / "h1" / "uploads" / "script").stat().st_ino
    assert (unpacked / "release" / "server.js").read_text() == "console.log(1)"


def test_the_readme_names_what_to_type(scope: Scope, point: RecoveryPoint, tmp_path: Path) -> None:
    odd = replace(point, database=replace(point.database, owner="the owner") if point.database else None)
    text = (pull(scope, odd, tmp_path, as_sql=False) / "README").read_text()
    assert f"Backup 1 of example in demo, taken {point.created_at} (UTC), release {point.release}." in text
    assert "tar -xpzf backup-" in text
    assert "createdb -T template0 -E UTF8 -O 'the owner' restored" in text
    assert "pg_restore --exit-on-error -j 2 -d restored db-backup-" in text


def test_nothing_is_overwritten_and_two_do_not_work_in_one_place(
    scope: Scope, point: RecoveryPoint, tmp_path: Path
) -> None:
    folder = pull(scope, point, tmp_path, as_sql=False)
    before = tree(folder)
    with pytest.raises(BadInput, match="exists already, and nothing is overwritten"):
        pull(scope, point, tmp_path, as_sql=False)
    assert tree(folder) == before
    shutil.rmtree(folder)
    (tmp_path / ".example-demo-1.part").mkdir()
    with pytest.raises(BadInput, match="another pull works here"):
        pull(scope, point, tmp_path, as_sql=False)
    with pytest.raises(BadInput, match="is no folder"):
        pull(scope, point, tmp_path / "absent", as_sql=False)


@pytest.mark.parametrize("name", ["database", "files:h1", "release"])
@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_part_leaves_no_folder(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, name: str, cut: bool
) -> None:
    part = point.part(name)
    assert part
    data = scope.catalogue.store.get(part.key)
    middle = len(data) // 2
    scope.catalogue.store.put(
        part.key, data[:middle] + (b"" if cut else bytes([data[middle] ^ 1]) + data[middle + 1 :])
    )
    before = {entry.name for entry in tmp_path.iterdir()}
    with pytest.raises((StorageError, Unverified)) as raised:
        pull(scope, point, tmp_path, as_sql=False)
    assert part.key in raised.value.fact
    assert {entry.name for entry in tmp_path.iterdir()} == before


def test_files_of_a_whole_server_say_where_its_database_is(scope: Scope, tmp_path: Path) -> None:
    point = capture(with_server(scope), "full", "manual", RUN)
    folder = pull(scope, point, tmp_path, as_sql=False)
    assert [file.suffix for file in sorted(folder.iterdir())] == ["", "", ".gz"]
    readme = (folder / "README").read_text()
    assert (
        "pgbackrest --config-path=/etc/postgresql/VERSION/CLUSTER/pgbackrest --stanza=shop --set=20250131-030001F"
        in readme
    )
    assert "createdb" not in readme


@pytest.mark.parametrize(("kind", "as_sql"), [("full", True), ("database", False)])
def test_a_whole_server_is_not_pulled_as_a_file(scope: Scope, tmp_path: Path, kind: Kind, as_sql: bool) -> None:
    point = capture(with_server(scope), kind, "manual", RUN)
    with pytest.raises(BadInput, match="the database of backup 1 is in pgBackRest's repository") as refused:
        pull(scope, point, tmp_path, as_sql)
    assert "inv backup.pitr-restore" in refused.value.hint
    assert not (tmp_path / "example-demo-1").exists()


def test_a_disk_that_is_too_small_is_not_begun_with(scope: Scope, point: RecoveryPoint, tmp_path: Path) -> None:
    assert point.database
    huge = replace(point, database=replace(point.database, size_bytes=1 << 60))
    with pytest.raises(Refused, match="GB are free, and backup 1 may take"):
        pull(scope, huge, tmp_path, as_sql=False)


def test_sql_without_pg_restore_anywhere_says_what_to_install(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("bash", "sed", "timeout", "tar", "zstd"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(BadInput, match="SQL is made by pg_restore 15") as refused:
        pull(scope, point, tmp_path, as_sql=True)
    assert "postgresql-client-15" in refused.value.hint


PG_RESTORE = """#!/bin/bash
case "$*" in
--version) echo "pg_restore (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)" ;;
"-f - /proc/self/fd/9") [ -z "$FAIL" ] || exit 1; echo "-- as SQL"; cat /proc/self/fd/9 ;;
*) echo "not understood: $*" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def pg_restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pg_restore of version 15 on this machine."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pg_restore").write_text(PG_RESTORE)
    (tools / "pg_restore").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("FAIL", "")


def test_sql_is_made_here_where_pg_restore_is_new_enough(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, pg_restore: None
) -> None:
    folder = pull(scope, point, tmp_path, as_sql=True)
    (file,) = folder.glob("db-backup-*.sql")
    assert file.read_bytes() == b"-- as SQL\n" + DUMP
    assert "psql -X -v ON_ERROR_STOP=1 -d restored -f db-backup-" in (folder / "README").read_text()


def test_sql_of_a_newer_server_is_made_beside_it(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, pg_restore: None
) -> None:
    assert point.database
    newer = replace(point, database=replace(point.database, server_version="17.2"))
    settings = {"via": "db", "name": "app", "user": "turnout", "password": "env:X"}
    environment = type(scope.environment).model_validate(
        {"app": "example", "hosts": {"h1": {}, "db": {"roles": ["db"]}}, "database": settings}
    )
    beside = replace(scope, environment=environment, hosts={"db": LocalHost("db")})
    folder = pull(beside, newer, tmp_path, as_sql=True)
    assert len(list(folder.glob("*.sql"))) == 1


def test_a_conversion_that_fails_leaves_no_folder(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, pg_restore: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "yes")
    before = {entry.name for entry in tmp_path.iterdir()}
    with pytest.raises(TurnoutError):
        pull(scope, point, tmp_path, as_sql=True)
    assert {entry.name for entry in tmp_path.iterdir()} == before
