"""Backups that are tried: what is wrong with them is told, and what is wrong elsewhere is not laid at their door."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import zstandard

from fabfile.config.database import DatabaseSettings
from fabfile.config.schema import Environment
from fabfile.config.smoke import SmokeSettings
from fabfile.database.port import Database
from fabfile.errors import BadInput, DatabaseError, Refused, RemoteError, StorageError, Unreachable
from fabfile.model.paths import Paths
from fabfile.model.recovery_point import DatabaseFacts, RecoveryPoint
from fabfile.model.release import ReleaseFile, release_id
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.recovery.verify import differences, examine, read_parts, restore_into, scratch_database, try_server
from fabfile.remote.local import LocalHost
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import NotFound
from tests.unit.recovery.test_capture_and_restore import FACTS, MemoryDatabase, MemoryServer

RUN = "20250131T030000-0a1b"
COPY = "app_verify_20250131t030000_0a1b"


@dataclass
class Failing(MemoryDatabase):
    """A database whose loading fails with this error."""

    error: Exception = field(default_factory=lambda: RemoteError("db", "pg_restore: error: no such role"))
    drops_first: bool = False

    def load(self, name: str, chunks: Iterable[bytes]) -> None:
        list(chunks)
        if self.drops_first:
            self.loaded.pop(name)
        raise self.error


@dataclass
class Sweeping(MemoryDatabase):
    """A database that remembers what was dropped."""

    dropped: list[str] = field(default_factory=list)

    def drop(self, name: str) -> None:
        self.dropped.append(name)
        super().drop(name)


def release_in(folder: str, server: str = "console.log(1)") -> str:
    """An archive there of a release that is this program; its id."""
    data = server.encode()
    files = (ReleaseFile("server.js", 0o644, len(data), hashlib.sha256(data).hexdigest()),)
    found = release_id("1.0.0", files, ())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("server.js")
        member.size, member.mode = len(data), 0o644
        tar.addfile(member, io.BytesIO(data))
    Path(folder).mkdir(parents=True)
    Path(folder, f"{found}.tar.zst").write_bytes(zstandard.compress(buffer.getvalue()))
    return found


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    environment = Environment.model_validate(
        {"app": "example", "hosts": {"h1": {}}, "release": {"shared": ["uploads"]}}
    )
    paths = Paths("example", base=str(tmp_path))
    (Path(paths.shared) / "uploads").mkdir(parents=True)
    (Path(paths.shared) / "uploads" / "picture").write_bytes(b"pixels" * 1000)
    catalogue = Catalogue(DirectoryStore(tmp_path / "store"), "turnout", "example", "demo")
    return Scope(environment, paths, {"h1": LocalHost("h1")}, catalogue, MemoryDatabase())


@pytest.fixture
def point(scope: Scope) -> RecoveryPoint:
    return capture(scope, "full", "manual", RUN, release_in(scope.paths.releases))


def test_sound_parts_are_read_to_their_ends(scope: Scope, point: RecoveryPoint, tmp_path: Path) -> None:
    found = read_parts(scope, point, tmp_path)
    assert found.problems == []
    assert found.unpacked == {"files:h1": 6000}
    assert found.release and found.release.manifest.id == point.release


@pytest.mark.parametrize("name", ["files:h1", "release"])
def test_a_damaged_part_is_a_problem_and_the_others_are_read_all_the_same(
    scope: Scope, point: RecoveryPoint, tmp_path: Path, name: str
) -> None:
    part = point.part(name)
    assert part
    scope.catalogue.store.put(part.key, bytes(part.size))
    found = read_parts(scope, point, tmp_path)
    assert len(found.problems) == 1
    assert part.key in found.problems[0] or found.problems[0].startswith(f"{name}: is no zstd stream")
    assert (found.release is None, found.unpacked == {}) == (name == "release", name == "files:h1")


def test_a_part_that_was_stored_wrong_is_a_problem_although_its_digest_is_right(
    scope: Scope, point: RecoveryPoint, tmp_path: Path
) -> None:
    part = point.part("files:h1")
    assert part
    broken = zstandard.compress(b"no tar" * 1000)
    scope.catalogue.store.put(part.key, broken)
    wrong = replace(part, size=len(broken), sha256=hashlib.sha256(broken).hexdigest())
    other = replace(point, objects=tuple(wrong if found is part else found for found in point.objects))
    (problem,) = read_parts(scope, other, tmp_path).problems
    assert problem.startswith("files:h1: is no tar")


def test_an_archive_of_another_release_is_a_problem(scope: Scope, point: RecoveryPoint, tmp_path: Path) -> None:
    (problem,) = read_parts(scope, replace(point, release="2.0.0-abcdef012345"), tmp_path).problems
    assert "that should hold release 2.0.0-abcdef012345 holds" in problem


def test_a_store_in_trouble_is_no_problem_of_the_backup(scope: Scope, point: RecoveryPoint, tmp_path: Path) -> None:
    class Troubled(DirectoryStore):
        def get_stream(self, key: str) -> Iterator[bytes]:
            raise StorageError(f"{key}: answered 503")

    troubled = replace(scope, catalogue=Catalogue(Troubled(tmp_path / "store"), "turnout", "example", "demo"))
    with pytest.raises(StorageError, match="503"):
        read_parts(troubled, point, tmp_path)


def test_a_part_that_is_deleted_meanwhile_ends_it_with_that_word(
    scope: Scope, point: RecoveryPoint, tmp_path: Path
) -> None:
    scope.catalogue.remove(point.number)
    with pytest.raises(NotFound, match="no such object"):
        read_parts(scope, point, tmp_path)


def test_a_scratch_database_is_there_for_the_block_and_gone_afterwards(scope: Scope, point: RecoveryPoint) -> None:
    database = scope.database
    assert isinstance(database, MemoryDatabase)
    with scratch_database(database, RUN, 1000) as name:
        assert name == COPY
        assert restore_into(scope, point, name, [])
        assert database.loaded == {COPY: b"dump"}
    assert database.loaded == {}
    with pytest.raises(KeyboardInterrupt), scratch_database(database, RUN, 1000):
        raise KeyboardInterrupt
    assert database.loaded == {}


def test_what_killed_runs_left_is_dropped_and_nothing_else() -> None:
    busy, left = "app_verify_20250131t020000_ffff", "app_verify_20250131t010000_ffff"
    others = ("app_verify_results", "app_verify_20250131t010000_ffff_old", "application_verify_20250131t010000_ffff")
    database = Sweeping(loaded=dict.fromkeys((busy, left, *others), b""), busy=(busy,))
    with scratch_database(database, RUN, 0):
        pass
    assert database.dropped == [left, COPY]


def test_names_keep_their_run_when_the_database_has_a_long_one() -> None:
    database = MemoryDatabase(live="a" * 63)
    with scratch_database(database, RUN, 0) as name:
        assert len(name) == 63
        assert name.endswith("_verify_20250131t030000_0a1b")


@pytest.mark.parametrize(("free", "refused"), [(999, True), (1000, False), (None, False)])
def test_a_disk_that_would_not_hold_the_copy_is_not_filled(free: int | None, refused: bool) -> None:
    database = Sweeping(free=free)
    if refused:
        with pytest.raises(Refused, match="the copy takes about"), scratch_database(database, RUN, 1000):
            pass
        assert database.dropped == []
    else:
        with scratch_database(database, RUN, 1000):
            assert database.exists(COPY)


def test_two_verifications_of_one_run_do_not_share_a_database() -> None:
    database = Sweeping(busy=(COPY,))
    with pytest.raises(Refused, match="another verification"), scratch_database(database, RUN, 0):
        pass
    assert database.dropped == []


def tried(scope: Scope, point: RecoveryPoint, database: Database) -> list[str]:
    problems: list[str] = []
    with scratch_database(database, RUN, 0) as name:
        assert not restore_into(replace(scope, database=database), point, name, problems)
    return problems


def test_a_dump_that_pg_restore_refuses_is_a_problem_in_its_words(scope: Scope, point: RecoveryPoint) -> None:
    error = RemoteError("db", "pg_restore: error: no such role", details=["Command was: ALTER TABLE"])
    problems = tried(scope, point, Failing(error=error))
    assert problems == ["database: db: pg_restore: error: no such role", "Command was: ALTER TABLE"]


def test_a_damaged_dump_is_a_problem(scope: Scope, point: RecoveryPoint) -> None:
    part = point.part("database")
    assert part
    scope.catalogue.store.put(part.key, b"dumb")
    (problem,) = tried(scope, point, MemoryDatabase())
    assert "is damaged" in problem


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("db", "no route"),
        DatabaseError("the server went away"),
        RemoteError("db", "pg_restore: error", details=["could not extend file: No space left on device"]),
        RemoteError("db", "server closed the connection unexpectedly"),
    ],
)
def test_a_server_in_trouble_is_no_problem_of_the_backup(scope: Scope, point: RecoveryPoint, error: Exception) -> None:
    with pytest.raises(type(error)):
        tried(scope, point, Failing(error=error))


def test_a_copy_that_somebody_drops_is_no_problem_of_the_backup(scope: Scope, point: RecoveryPoint) -> None:
    with pytest.raises(DatabaseError, match="was dropped while it was filled"):
        tried(scope, point, Failing(drops_first=True))


def test_rows_extensions_and_encoding_that_differ_are_told() -> None:
    tables = {"public.a": 1, "public.b": 2, "public.c": 0}
    saved = replace(FACTS, extensions={"pg_trgm": "1.6", "plpgsql": "1.0"}, tables=tables)
    tables = {"public.a": 1, "public.b": 1, "x.d": 5}
    found = replace(saved, encoding="LATIN1", extensions={"plpgsql": "1.0"}, tables=tables)
    assert differences(saved, found) == [
        "encoding: UTF8 in the backup, LATIN1 restored",
        "extension pg_trgm: not restored",
        "public.b: 2 rows in the backup, 1 rows restored",
        "public.c: 0 rows in the backup, no table restored",
        "x.d: no table in the backup, 5 rows restored",
    ]
    assert differences(saved, replace(saved, owner="other", size_bytes=5, server_version="17.2")) == []
    many = replace(saved, tables={f"t{number}": 1 for number in range(100)})
    lines = differences(many, replace(many, tables={}))
    assert (len(lines), lines[-1]) == (21, "and 80 more")


def test_a_question_that_is_answered_wrongly_is_named(point: RecoveryPoint) -> None:
    smoke = asking(stock="SELECT count(*) > 0 FROM items", wrong="SELECT false")
    database = MemoryDatabase(objections={"SELECT false": "no row of 1 is true in its first column"})
    assert examine(point, database, smoke, COPY) == ["smoke.sql.wrong: no row of 1 is true in its first column"]
    short = MemoryDatabase(facts=DatabaseFacts("15.18", 1000, "app", "UTF8", {}, {"public.items": 2}))
    assert examine(point, short, smoke, COPY) == ["public.items: 3 rows in the backup, 2 rows restored"]


def test_a_copy_is_only_asked_what_is_asked_of_copies(point: RecoveryPoint) -> None:
    fresh = SmokeSettings.model_validate({"sql": {"fresh": {"query": "SELECT false", "at": ["idle", "live"]}}})
    assert examine(point, MemoryDatabase(objections={"SELECT false": "no"}), fresh, COPY) == []


def asking(**queries: str) -> SmokeSettings:
    return SmokeSettings.model_validate({"sql": {name: {"query": query} for name, query in queries.items()}})


@pytest.fixture
def whole(scope: Scope) -> Scope:
    """An environment whose server is backed up as a whole, and that asks one question."""
    settings = DatabaseSettings(via="db", name="app", user="turnout", password="env:X")
    smoke = asking(stock="SELECT count(*) > 0 FROM items")
    environment = scope.environment.model_copy(update={"database": settings, "smoke": smoke})
    return replace(scope, environment=environment, physical=MemoryServer(scope))


def test_a_whole_server_is_tried_by_reading_and_asking_a_copy_of_it(whole: Scope) -> None:
    point = capture(whole, "database", "manual", RUN)
    assert try_server(whole, point, RUN) == []
    wrong = MemoryDatabase(objections={"SELECT count(*) > 0 FROM items": "no row of 1 is true"})
    assert try_server(replace(whole, physical=MemoryServer(whole, wrong)), point, RUN) == [
        "smoke.sql.stock: no row of 1 is true"
    ]


def test_what_pgbackrest_finds_damaged_is_a_problem_and_trouble_elsewhere_is_none(whole: Scope) -> None:
    point = capture(whole, "database", "manual", RUN)
    damaged = RemoteError("db", "ended with status 29", "", ["ERROR: [029]: wrong checksum of base/5/1249"])
    found = try_server(replace(whole, physical=MemoryServer(whole, error=damaged)), point, RUN)
    assert found == ["db: ended with status 29", "ERROR: [029]: wrong checksum of base/5/1249"]
    for error in (Unreachable("db", "no route"), RemoteError("db", "unable to connect to s3.example.com")):
        with pytest.raises(RemoteError) as caught:
            try_server(replace(whole, physical=MemoryServer(whole, error=error)), point, RUN)
        assert caught.value is error


def test_a_server_is_not_tried_where_the_engine_is_another(whole: Scope) -> None:
    point = capture(whole, "database", "manual", RUN)
    with pytest.raises(BadInput, match="backup 1 is pgBackRest's, and the engine is another"):
        try_server(replace(whole, physical=None), point, RUN)
