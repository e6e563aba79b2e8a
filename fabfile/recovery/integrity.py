"""Stored bytes against what is known of them: nothing damaged is ever passed on whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from fabfile.errors import StorageError
from fabfile.model.recovery_point import StoredPart
from fabfile.storage.port import Store, Stored


class Checked:
    """The bytes of a part as they come from the store; raises StorageError instead of the last chunk when they differ.

    Whoever reads it may be told of a failure in other words than its own: `error` is what really happened.
    """

    def __init__(self, store: Store, part: StoredPart) -> None:
        self.error: Exception | None = None
        self._store, self._part = store, part

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except Exception as error:
            self.error = error
            raise

    def _chunks(self) -> Iterator[bytes]:
        digest, size, held = hashlib.sha256(), 0, b""
        for chunk in self._store.get_stream(self._part.key):
            digest.update(chunk)
            size += len(chunk)
            if held:
                yield held
            held = chunk
        if (size, digest.hexdigest()) != (self._part.size, self._part.sha256):
            raise StorageError(
                f"{self._part.key}: is damaged: {size} bytes with SHA-256 {digest.hexdigest()[:12]}…, "
                f"not {self._part.size} with {self._part.sha256[:12]}…",
                "choose another backup: inv backup.list",
            )
        if held:
            yield held


def measured(store: Store, key: str) -> Stored:
    """The size and digest of an object as the store has it."""
    digest, size = hashlib.sha256(), 0
    for chunk in store.get_stream(key):
        digest.update(chunk)
        size += len(chunk)
    return Stored(key, size, digest.hexdigest())
