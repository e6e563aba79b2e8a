"""What a backup store promises, whatever keeps the bytes: the protocol, its values, its errors and its keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from fabfile.errors import StorageError, TurnoutError

KEY_BYTES = 1024
"""The longest key in bytes of UTF-8: the limit of S3."""


class AlreadyExists(StorageError):
    """A conditional put found an object under its key; that object is untouched."""


class NotFound(StorageError):
    """There is no object under the key."""


class NoConnection(StorageError):
    """No connection to the store could be made."""


@dataclass(frozen=True)
class Stored:
    """What a put has stored: the key, the size in bytes and the SHA-256 (hex) of the bytes that the producer gave."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Listed:
    """One object in a listing: the key, the size in bytes and when it was stored (UTC, by the store's clock)."""

    key: str
    size: int
    modified: datetime


class Store(Protocol):
    """Objects under keys such as `app/production/3/manifest.json`, seen whole or not at all.

    Any method raises `StorageError` when the store refuses, does not answer or answers wrongly. A store may be used
    from several threads at once.
    """

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """Stores `data` under `key`. With `if_absent`, one of several writers wins; the others get `AlreadyExists`."""

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> Stored:
        """Stores what `chunks` yields, chunks of any size, in constant memory.

        The end of the iterator is success: a producer that died must raise there. Whatever fails, an interrupt too,
        nothing of the stream is visible under `key`, and the exception propagates unchanged; a failure while cleaning
        up is told beside it. The iterator is not closed: its owner ends the producer.
        """

    def get(self, key: str) -> bytes:
        """The whole object. Raises `NotFound`."""

    def get_stream(self, key: str) -> Iterator[bytes]:
        """The object in chunks of up to 1 MiB. Raises `NotFound` at once, `StorageError` when it ends too early."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every object whose key begins with `prefix` (any text, not only whole folders), in the order of the keys."""

    def prefixes(self, prefix: str) -> Iterator[str]:
        """The folders directly below `prefix`, whole and with their final slash: `app/` gives `app/1/`, `app/2/`."""

    def delete(self, key: str) -> None:
        """Removes the object; an absent one is fine."""


def checked(key: str) -> str:
    """The key, when every store can keep it: relative, no empty, `.` or `..` folder, no control character.

    Raises `StorageError` otherwise.
    """
    folders_fine = not any(folder in ("", ".", "..") for folder in key.split("/"))
    encodable = not re.search(r"[\x00-\x1f\x7f\ud800-\udfff]", key)
    if not (folders_fine and encodable and len(key.encode()) <= KEY_BYTES):
        raise StorageError(
            f"{key!r} cannot be a key in the backup store",
            f"use relative names between slashes, no '.' or '..', at most {KEY_BYTES} bytes",
        )
    return key


def beside(error: BaseException, line: str) -> None:
    """Tells of a second failure, met while cleaning up after `error`, without taking its place."""
    error.add_note(line)
    if isinstance(error, TurnoutError):
        error.details = (*error.details, line)
