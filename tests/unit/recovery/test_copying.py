"""The second bucket: complete after every success, never listing half a backup, and no danger to the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.errors import StorageError
from fabfile.model.recovery_point import Verification
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.copying import complete
from fabfile.recovery.restore import load_database
from fabfile.recovery.scope import Scope
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Stored
from tests.unit.recovery.test_capture_and_restore import RUN, MemoryDatabase, damage, scope, with_server

__all__ = ["scope"]


class Failing(DirectoryStore):
    """A store whose `nth` write fails in the middle."""

    def __init__(self, folder: Path, nth: int) -> None:
        super().__init__(folder)
        self.left = nth

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> Stored:
        self.left -= 1
        return super().put_stream(key, self._cut(chunks) if self.left == 0 else chunks, if_absent=if_absent)

    def _cut(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        yield from list(chunks)[:1]
        raise StorageError("the second store went away")


def second(folder: Path, nth: int = 0) -> Catalogue:
    return Catalogue(Failing(folder / "second", nth), "elsewhere/backups", "example", "demo")


def test_every_backup_is_brought_once_with_all_its_parts_and_restores_from_there(scope: Scope, tmp_path: Path) -> None:
    points = [capture(scope, "full", "manual", RUN, "1.0.0"), capture(scope, "database", "manual", RUN)]
    copy = second(tmp_path)
    assert complete(scope.catalogue, copy) == (2, 1)
    assert complete(scope.catalogue, copy) == ()
    assert [point.number for point in copy.points()] == [2, 1]
    for point, found in zip(points, reversed(copy.points()), strict=True):
        assert [part.key for part in found.objects] != [part.key for part in point.objects]
        for part, original in zip(found.objects, point.objects, strict=True):
            assert copy.store.get(part.key) == scope.catalogue.store.get(original.key)
    load_database(replace(scope, catalogue=copy), copy.find("1"), "app_new")
    assert isinstance(scope.database, MemoryDatabase)
    assert scope.database.loaded == {"app_new": b"dump"}
    assert copy.allocate() == 3


@pytest.mark.parametrize("nth", range(1, 8))
def test_a_copy_that_fails_at_any_write_says_so_and_is_completed_by_the_next_one(
    scope: Scope, tmp_path: Path, nth: int
) -> None:
    point = capture(scope, "full", "manual", RUN, "1.0.0")
    failed = nth <= 6  # database, two hosts' files, archive, its entry, manifest
    if failed:
        with pytest.raises(StorageError, match="second bucket is not complete: the second store went away") as told:
            complete(scope.catalogue, second(tmp_path, nth))
        assert told.value.hint.endswith("inv backup.copy")
        assert second(tmp_path).points() == ()
    assert scope.catalogue.points() == (point,)
    assert complete(scope.catalogue, second(tmp_path)) == (1,)
    assert [found.number for found in second(tmp_path).points()] == [1]


def test_what_pgbackrest_keeps_is_not_listed_where_it_is_not(scope: Scope, tmp_path: Path) -> None:
    capture(with_server(scope), "full", "manual", RUN)
    capture(scope, "full", "manual", RUN)
    assert complete(scope.catalogue, second(tmp_path)) == (2,)
    assert complete(scope.catalogue, second(tmp_path)) == ()
    assert second(tmp_path).listing().damaged == ()


def test_a_damaged_part_is_not_brought(scope: Scope, tmp_path: Path) -> None:
    point = capture(scope, "database", "manual", RUN)
    damage(scope, point.objects[0], "flipped")
    with pytest.raises(StorageError, match="is damaged"):
        complete(scope.catalogue, second(tmp_path))
    assert second(tmp_path).points() == ()


def test_a_backup_that_lost_a_part_in_the_second_bucket_gets_it_again(scope: Scope, tmp_path: Path) -> None:
    capture(scope, "full", "manual", RUN, "1.0.0")
    complete(scope.catalogue, second(tmp_path))
    copy = second(tmp_path)
    copy.store.delete(copy.points()[0].objects[1].key)
    assert complete(scope.catalogue, copy) == (1,)
    assert len(copy.points()) == 1


def test_what_becomes_known_of_a_backup_later_is_told_there_without_bringing_it_again(
    scope: Scope, tmp_path: Path
) -> None:
    point = capture(scope, "database", "manual", RUN)
    complete(scope.catalogue, second(tmp_path))
    scope.catalogue.record_verified(point, Verification("2025-01-31T00:00:00Z", "passed", "ann@laptop", 1.0))
    assert complete(scope.catalogue, second(tmp_path)) == ()
    assert second(tmp_path).points()[0].verified_at == "2025-01-31T00:00:00Z"


def test_what_the_first_bucket_has_lost_stays_in_the_second(scope: Scope, tmp_path: Path) -> None:
    point = capture(scope, "database", "manual", RUN)
    complete(scope.catalogue, second(tmp_path))
    scope.catalogue.remove(point.number)
    assert complete(scope.catalogue, second(tmp_path)) == ()
    assert [found.number for found in second(tmp_path).points()] == [1]
