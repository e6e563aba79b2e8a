"""What a store in a folder owes to its file system."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.errors import StorageError
from fabfile.storage.directory import DirectoryStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def files_of_one_mib_at_most() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("files_of_one_mib_at_most")
@pytest.mark.parametrize("chunk", [1000, 1 << 20])
def test_a_write_that_the_system_refuses_leaves_nothing(folder: Path, chunk: int) -> None:
    with pytest.raises(StorageError, match="too large"):
        DirectoryStore(folder).put_stream("key", (b"x" * chunk for _ in range(3 << 20)))
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_objects_are_for_their_owner_only(folder: Path) -> None:
    DirectoryStore(folder).put("app/key", b"")
    assert [path.stat().st_mode & 0o077 for path in (folder, folder / "app" / "key")] == [0, 0]


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    (tmp_path / "outside").mkdir()
    (folder / "app").symlink_to(tmp_path / "outside")
    with pytest.raises(StorageError, match="not a place"):
        DirectoryStore(folder).put("app/key", b"")
    assert list((tmp_path / "outside").iterdir()) == []


def test_an_unfinished_object_is_in_no_listing(folder: Path) -> None:
    store = DirectoryStore(folder)

    def producer() -> Iterator[bytes]:
        yield b"half"
        assert list(store.list("")) == []
        assert list(store.prefixes("")) == []
        yield b"whole"

    store.put_stream("key", producer())
    assert [found.key for found in store.list("")] == ["key"]
    with pytest.raises(StorageError, match="not a place"):
        store.put(".incoming/key", b"")


def test_a_file_cut_while_it_is_read_is_an_error(folder: Path) -> None:
    store = DirectoryStore(folder)
    store.put("key", b"x" * (3 << 20))
    chunks = store.get_stream("key")
    next(chunks)
    os.truncate(folder / "key", 2 << 20)
    with pytest.raises(StorageError, match="too early"):
        list(chunks)


def test_a_folder_where_an_object_should_be_is_told(folder: Path) -> None:
    store = DirectoryStore(folder)
    store.put("a/b", b"")
    for wrong in ("a", "a/b/c"):
        with pytest.raises(StorageError, match=r"directory|exists"):
            store.put(wrong, b"")
    assert [found.key for found in store.list("")] == ["a/b"]
    assert list((folder / ".incoming").iterdir()) == []


def test_a_store_never_written_to_is_empty(folder: Path) -> None:
    assert list(DirectoryStore(folder).list("")) == []
