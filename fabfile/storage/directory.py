"""The backup store in a folder of a file system: an object is written beside, flushed to the disk and renamed in."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from fabfile.errors import StorageError
from fabfile.storage.parts import Tally
from fabfile.storage.port import AlreadyExists, Listed, NotFound, Stored, beside, checked

CHUNK = 1 << 20
INCOMING = ".incoming"
"""Where unfinished objects are, inside the store's folder: the same file system, and in no listing."""


class DirectoryStore:
    """A `Store` below `folder`, made (0700) when first written to; its files are 0600.

    As on any file system, `a` and `a/b` cannot both be objects, and one name between slashes has at most 255 bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """See `Store.put`."""
        self.put_stream(key, [data], if_absent=if_absent)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> Stored:
        """See `Store.put_stream`."""
        target = self._path(key)
        tally = Tally()
        partial = self._folder / INCOMING / uuid.uuid4().hex
        with _explained(partial):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        try:
            _fill(file, tally.weighed(chunks), partial)
            with _explained(target):
                self._reveal(partial, target, if_absent)
                partial.unlink(missing_ok=True)
        except BaseException as error:
            try:
                partial.unlink(missing_ok=True)
            except OSError as second:
                beside(error, f"{partial}: left behind: {second.strerror}")
            raise
        return tally.stored(key)

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        return b"".join(self.get_stream(key))

    def get_stream(self, key: str) -> Iterator[bytes]:
        """See `Store.get_stream`."""
        path = self._path(key)
        with _explained(path):
            if not path.is_file():
                raise NotFound(f"{path}: no such object", "see what is there: inv backup.list")
            announced = path.stat().st_size
        return _chunks(path, announced)

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Store.list`."""
        for key in self._keys(prefix):
            path = self._folder / key
            with _explained(path):
                try:
                    found = path.stat()
                except FileNotFoundError:  # deleted since the folder was read
                    continue
            yield Listed(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def prefixes(self, prefix: str) -> Iterator[str]:
        """See `Store.prefixes`."""
        ends = ((key, key.find("/", len(prefix))) for key in self._keys(prefix))
        yield from dict.fromkeys(key[: end + 1] for key, end in ends if end >= 0)

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        path = self._path(key)
        with _explained(path):
            if path.is_file():
                path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        path = self._folder / checked(key)
        with _explained(path):
            inside = path.resolve().is_relative_to(self._folder.resolve())
        if not inside or key.split("/")[0] == INCOMING:
            raise StorageError(f"{path}: not a place for an object", f"keep symbolic links out of {self._folder}")
        return path

    def _keys(self, prefix: str) -> Iterable[str]:
        found = []
        with _explained(self._folder):
            for root, folders, names in os.walk(self._folder, onerror=_unless_absent):
                at = Path(root).relative_to(self._folder)
                folders[:] = [
                    name
                    for name in folders
                    if at / name != Path(INCOMING) and _related(f"{(at / name).as_posix()}/", prefix)
                ]
                found += [key for name in names if (key := (at / name).as_posix()).startswith(prefix)]
        return sorted(found)

    def _reveal(self, partial: Path, target: Path, if_absent: bool) -> None:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if if_absent:
            try:
                os.link(partial, target)
            except FileExistsError as error:
                raise AlreadyExists(f"{target}: exists already", "choose another key, or see what is there") from error
        else:
            partial.replace(target)
        folder = target.parent
        while folder.is_relative_to(self._folder):  # a new folder is durable once its parent is
            flush_folder(folder)
            folder = folder.parent


def _fill(file: BinaryIO, chunks: Iterable[bytes], path: Path) -> None:
    try:
        for chunk in chunks:
            with _explained(path):
                file.write(chunk)
        with _explained(path):
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):  # flushed, or failed and told: a close that flushes again would hide the first error
            file.close()


def _chunks(path: Path, announced: int) -> Iterator[bytes]:
    with _explained(path):
        file = path.open("rb")
    with file:
        left = announced
        while left:
            with _explained(path):
                chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise StorageError(f"{path}: ended {left} of {announced} bytes too early", "use another backup")
            left -= len(chunk)
            yield chunk


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: {error.strerror or error}", f"look at the disk and its rights: ls -ld {path.parent}"
        ) from error


def flush_folder(folder: Path) -> None:
    """Bring what was made, renamed or removed in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _related(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
