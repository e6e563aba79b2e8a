"""Backups taken of real files into a real store, and given back: whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fabfile.commands import shared_files
from fabfile.config.schema import Environment
from fabfile.database.port import Database, Dump
from fabfile.errors import BadInput, DatabaseError, RemoteError, StorageError, TurnoutError
from fabfile.model.database_server import ServerFacts
from fabfile.model.paths import Paths
from fabfile.model.recovery_point import DatabaseFacts, PhysicalBackup, StoredPart
from fabfile.model.script import Script
from fabfile.planning.smoke import Rows
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.integrity import Checked
from fabfile.recovery.restore import load_database, load_files
from fabfile.recovery.scope import Scope
from fabfile.remote.local import LocalHost
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import NotFound

FACTS = DatabaseFacts("15.18", 1000, "app", "UTF8", {}, {"public.items": 3})
RUN = "20250131T030000-0a1b"


@dataclass
class MemoryDatabase:
    """A `Database` whose dumps are given by the test; one that ends with an error raises it."""

    live: str = "app"
    dumped: tuple[bytes | BaseException, ...] = (b"du", b"mp")
    loaded: dict[str, bytes] = field(default_factory=dict)
    facts: DatabaseFacts = FACTS
    free: int | None = None
    busy: tuple[str, ...] = ()
    objections: dict[str, str] = field(default_factory=dict)

    def server(self) -> ServerFacts:
        return ServerFacts("15.18", frozenset({"app"}), frozenset())

    def describe(self, name: str) -> DatabaseFacts:
        return self.facts

    def exists(self, name: str) -> bool:
        return name in self.loaded

    def names_like(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(name for name in self.loaded if name.startswith(prefix)))

    def create(self, name: str, owner: str, encoding: str) -> None:
        self.loaded.setdefault(name, b"")

    def create_beside(self, new: str, like: str) -> None:
        self.loaded[new] = b""

    def size(self, name: str) -> int:
        return FACTS.size_bytes

    def free_bytes(self) -> int | None:
        return self.free

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        yield name not in self.busy

    def objection(self, name: str, query: str, seconds: float, rows: Rows | None = None) -> str:
        return self.objections.get(query, "")

    def carry_over(self, old: str, new: str) -> None: ...

    def swap(self, live: str, new: str, kept: str) -> None: ...

    def open(self, name: str) -> None: ...

    def drop(self, name: str) -> None:
        self.loaded.pop(name, None)

    @contextmanager
    def dump(self, name: str) -> Iterator[Dump]:
        yield Dump(FACTS, self._chunks())

    def _chunks(self) -> Iterator[bytes]:
        for chunk in self.dumped:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def load(self, name: str, chunks: Iterable[bytes]) -> None:
        self.loaded[name] = b"".join(chunks)


class FailingHost(LocalHost):
    """This machine, on which every script that matches fails after it has done its work."""

    def __init__(self, name: str, matching: str, fault: str) -> None:
        super().__init__(name)
        self._matching, self._fault = matching, fault

    def stream(self, script: Script, stdin: Iterable[bytes] | None = None) -> Iterator[bytes]:
        if self._matching in script.text:
            script = replace(script, text=f"{script.text}\n{self._fault}\n")
        return super().stream(script, stdin)


class Keeper(DirectoryStore):
    """A store that deletes nothing."""

    def delete(self, key: str) -> None:
        raise StorageError(f"{key}: may not be deleted")


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    environment = Environment.model_validate(
        {"app": "example", "hosts": {"h1": {}, "h2": {}}, "release": {"shared": ["uploads"]}}
    )
    paths = Paths("example", base=str(tmp_path))
    (Path(paths.shared) / "uploads").mkdir(parents=True)
    (Path(paths.shared) / "uploads" / "picture").write_bytes(b"pixels" * 1000)
    Path(paths.releases).mkdir()
    archive = b"".join(LocalHost().stream(shared_files.pack(paths)))
    (Path(paths.releases) / "1.0.0.tar.zst").write_bytes(archive)
    catalogue = Catalogue(DirectoryStore(tmp_path / "store"), "turnout", "example", "demo")
    return Scope(environment, paths, {"h1": LocalHost("h1"), "h2": LocalHost("h2")}, catalogue, MemoryDatabase())


def stored(scope: Scope) -> set[str]:
    prefix = "turnout/example/demo/"
    return {found.key.removeprefix(prefix) for found in scope.catalogue.store.list("")}


def test_a_full_backup_has_the_database_the_files_of_every_host_and_the_release(scope: Scope) -> None:
    point = capture(scope, "full", "manual", RUN, "1.0.0")
    assert [part.name for part in point.objects] == ["database", "files:h1", "files:h2", "release"]
    assert scope.catalogue.points() == (point,)
    assert (point.number, point.kind, point.reason, point.run) == (1, "full", "manual", RUN)
    assert point.database == FACTS
    release = point.part("release")
    assert release and release.sha256 == point.release_digest
    assert scope.catalogue.store.get(release.key) == (Path(scope.paths.releases) / "1.0.0.tar.zst").read_bytes()


def test_a_backup_carries_the_marks_that_it_was_given(scope: Scope) -> None:
    plain = capture(scope, "database", "manual", RUN)
    marked = capture(scope, "database", "manual", RUN, label="before the sale", keep_forever=True)
    assert scope.catalogue.points() == (marked, plain)
    assert (plain.label, plain.keep_forever) == (None, False)
    assert (marked.label, marked.keep_forever) == ("before the sale", True)


@dataclass
class MemoryServer:
    """A `Physical` whose backups are one object each in the store; a copy of it is the database of the test."""

    scope: Scope
    copy: Database = field(default_factory=MemoryDatabase)
    error: TurnoutError | None = None

    def backup(self, number: int) -> PhysicalBackup:
        label = f"20250131-03000{number}F"
        manifest = f"turnout/_pgbackrest/{label}/backup.manifest"
        self.scope.catalogue.store.put(manifest, b"label")
        times = ("2025-01-31T03:00:00Z", "2025-01-31T03:00:09Z")
        return PhysicalBackup("shop", label, manifest, 5000, "0/28", "0/100", *times)

    @contextmanager
    def copied(self, backup: PhysicalBackup, run: str) -> Iterator[Database]:
        if self.error:
            raise self.error
        yield self.copy


def with_server(scope: Scope) -> Scope:
    return replace(scope, physical=MemoryServer(scope))


def test_a_server_that_is_backed_up_as_a_whole_is_not_dumped(scope: Scope) -> None:
    point = capture(with_server(scope), "full", "manual", RUN)
    assert [part.name for part in point.objects] == ["files:h1", "files:h2"]
    assert point.database is None
    assert point.pgbackrest and point.pgbackrest.label == "20250131-030001F"
    assert point.size == sum(part.size for part in point.objects) + 5000
    assert scope.catalogue.points() == (point,)


def test_files_alone_take_no_backup_of_the_server(scope: Scope) -> None:
    assert capture(with_server(scope), "files", "manual", RUN).pgbackrest is None


def test_what_pgbackrest_deletes_by_itself_cannot_be_kept_forever(scope: Scope) -> None:
    with pytest.raises(BadInput, match="none of them can be kept forever") as refused:
        capture(with_server(scope), "full", "manual", RUN, keep_forever=True)
    assert "database.repository.keep_full" in refused.value.hint
    assert stored(scope) == set()
    point = capture(with_server(scope), "full", "manual", RUN)
    with pytest.raises(BadInput, match="backup 1: pgBackRest lets its backups go"):
        scope.catalogue.record_kept(point, True)
    assert not scope.catalogue.record_kept(point, False).keep_forever


def test_what_pgbackrest_has_let_go_is_over_and_what_is_lost_otherwise_is_damaged(scope: Scope) -> None:
    first, second = (capture(with_server(scope), "full", "manual", RUN) for _ in range(2))
    assert first.pgbackrest and second.pgbackrest
    scope.catalogue.store.delete(first.pgbackrest.manifest)
    assert scope.catalogue.holdings().expired == (first,)
    assert (scope.catalogue.listing().points, scope.catalogue.listing().damaged) == ((second,), ())
    with pytest.raises(BadInput, match="backup 1 is over: pgBackRest has let its server go"):
        scope.catalogue.find("1")
    scope.catalogue.store.delete(second.pgbackrest.manifest)
    assert scope.catalogue.holdings().expired == ()
    assert scope.catalogue.listing().damaged == (2, 1)


def test_kinds_save_what_they_say(scope: Scope) -> None:
    database = capture(scope, "database", "manual", RUN, "1.0.0")
    files = capture(scope, "files", "manual", RUN, "1.0.0")
    assert [part.name for part in database.objects] == ["database"]
    assert [part.name for part in files.objects] == ["files:h1", "files:h2", "release"]
    assert (database.release, files.release, files.database) == ("1.0.0", "1.0.0", None)


def test_two_backups_share_one_archive_even_when_the_hosts_have_lost_it(scope: Scope) -> None:
    first = capture(scope, "files", "manual", RUN, "1.0.0")
    (Path(scope.paths.releases) / "1.0.0.tar.zst").unlink()
    second = capture(scope, "files", "manual", RUN, "1.0.0")
    assert first.part("release") == second.part("release")


def test_what_has_nothing_to_save_is_refused_and_takes_no_number(scope: Scope) -> None:
    with pytest.raises(BadInput, match="nothing to save"):
        capture(replace(scope, database=None), "database", "manual", RUN, "1.0.0")
    bare = scope.environment.model_copy(update={"release": scope.environment.release.model_copy(update={"shared": ()})})
    with pytest.raises(BadInput, match="nothing to save"):
        capture(replace(scope, environment=bare), "files", "manual", RUN)
    assert stored(scope) == set()


@pytest.mark.parametrize("error", [DatabaseError("the server went away"), KeyboardInterrupt()])
def test_a_dump_that_breaks_off_leaves_nothing_but_its_number(scope: Scope, error: BaseException) -> None:
    broken = replace(scope, database=MemoryDatabase(dumped=(b"du", error)))
    with pytest.raises(type(error)) as raised:
        capture(broken, "full", "manual", RUN, "1.0.0")
    assert raised.value is error
    assert stored(scope) == {"backups/000001/claim.json"}
    assert capture(scope, "full", "manual", RUN, "1.0.0").number == 2


@pytest.mark.parametrize("fault", ["exit 3", "kill -KILL $$"])
def test_files_of_the_second_host_that_break_off_take_the_whole_backup_back(scope: Scope, fault: str) -> None:
    hosts = {**scope.hosts, "h2": FailingHost("h2", "tar -c", fault)}
    with pytest.raises(RemoteError, match=r"^h2: "):
        capture(replace(scope, hosts=hosts), "full", "manual", RUN, "1.0.0")
    assert stored(scope) == {"backups/000001/claim.json"}


def test_a_release_that_no_host_has_undamaged_fails_the_backup(scope: Scope) -> None:
    archive = Path(scope.paths.releases) / "1.0.0.tar.zst"
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(TurnoutError, match=r"no host has a sound archive of release 1\.0\.0"):
        capture(scope, "full", "manual", RUN, "1.0.0")
    assert stored(scope) == {"backups/000001/claim.json"}


def test_parts_that_cannot_be_deleted_are_told_beside_the_first_error(scope: Scope, tmp_path: Path) -> None:
    catalogue = Catalogue(Keeper(tmp_path / "store"), "turnout", "example", "demo")
    broken = replace(scope, catalogue=catalogue, database=MemoryDatabase(dumped=(DatabaseError("went away"),)))
    with pytest.raises(DatabaseError) as raised:
        capture(broken, "database", "manual", RUN)
    assert raised.value.fact == "went away"
    assert any("may not be deleted" in line for line in raised.value.details)
    assert catalogue.points() == ()


def damage(scope: Scope, part: StoredPart | None, how: str) -> None:
    assert part
    data = scope.catalogue.store.get(part.key)
    middle = len(data) // 2
    changed = {
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "cut": data[:middle],
        "empty": b"",
        "longer": data + b"x",
    }
    scope.catalogue.store.put(part.key, changed[how])


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "longer"])
def test_a_damaged_object_is_refused_as_such(scope: Scope, how: str) -> None:
    point = capture(scope, "database", "manual", RUN)
    damage(scope, point.part("database"), how)
    with pytest.raises(StorageError, match="is damaged"):
        load_database(scope, point, "app_new")
    assert scope.database == MemoryDatabase()


@pytest.mark.parametrize("how", ["flipped", "cut", "longer"])
def test_the_last_chunk_of_a_damaged_object_never_leaves_us(scope: Scope, how: str) -> None:
    large = replace(scope, database=MemoryDatabase(dumped=(bytes(5 << 20),)))
    point = capture(large, "database", "manual", RUN)
    damage(scope, point.part("database"), how)
    passed = 0
    with pytest.raises(StorageError, match="is damaged"):
        for chunk in Checked(scope.catalogue.store, point.objects[0]):
            passed += len(chunk)
    assert 0 < passed < len(scope.catalogue.store.get(point.objects[0].key))
    assert passed < 5 << 20 or how == "longer"


def test_a_store_that_fails_is_blamed_and_not_the_host_that_it_fed(scope: Scope) -> None:
    class Blaming(MemoryDatabase):
        def load(self, name: str, chunks: Iterable[bytes]) -> None:
            with suppress(StorageError):
                list(chunks)
            raise RemoteError("db", "ended with status 137")

    point = capture(scope, "database", "manual", RUN)
    scope.catalogue.store.delete(point.objects[0].key)
    with pytest.raises(NotFound) as raised:
        load_database(replace(scope, database=Blaming()), point, "app_new")
    assert isinstance(raised.value.__cause__, RemoteError)


def test_files_and_database_come_back_as_they_were_saved(scope: Scope) -> None:
    point = capture(scope, "full", "manual", RUN)
    load_files(replace(scope, hosts={"new": LocalHost("new")}), point, "new", RUN)
    load_database(scope, point, "app_new")
    assert (Path(scope.paths.root) / f".shared.{RUN}" / "uploads" / "picture").read_bytes() == b"pixels" * 1000
    assert isinstance(scope.database, MemoryDatabase)
    assert scope.database.loaded == {"app_new": b"dump"}


def test_a_part_that_was_not_saved_cannot_be_restored(scope: Scope) -> None:
    with pytest.raises(BadInput, match="no database in it"):
        load_database(scope, capture(scope, "files", "manual", RUN), "app_new")
    with pytest.raises(BadInput, match="no shared files in it"):
        load_files(scope, capture(scope, "database", "manual", RUN), "h1", RUN)
