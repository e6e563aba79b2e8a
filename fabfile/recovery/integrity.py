"""Stored bytes against what is known of them: nothing damaged is ever passed on whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from pydantic import SecretStr

from fabfile.errors import BadInput, StorageError
from fabfile.model.recovery_point import StoredPart
from fabfile.storage.port import Store, Stored


def no_identity() -> SecretStr:
    """What stands for the private key where none is configured. Raises BadInput."""
    raise BadInput(
        "the backup is encrypted and backup.identity is not set", "set it to env:NAME or file:PATH of the private key"
    )


class Checked:
    """The plain bytes of a part; raises StorageError instead of the last chunk when they, or those stored, differ.

    `identity` reads the private key and is asked for an encrypted part only; BadInput when there is none, or a wrong
    one. Whoever reads this may be told of a failure in other words than its own: `error` is what really happened.
    """

    def __init__(self, store: Store, part: StoredPart, identity: Callable[[], SecretStr] = no_identity) -> None:
        self.error: Exception | None = None
        self._store, self._part, self._identity = store, part, identity

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._chunks()
        except Exception as error:
            self.error = error
            raise

    def _chunks(self) -> Iterator[bytes]:
        part = self._part
        if not part.encrypted:
            return as_stored(self._store, part)
        from fabfile.encryption import opened  # loads a library that only encrypted backups need

        plain = opened(as_stored(self._store, part), self._identity(), part.key)
        return _whole(plain, part.key, part.plain_size, part.plain_sha256)


def as_stored(store: Store, part: StoredPart) -> Iterator[bytes]:
    """The bytes of a part as they are in the store, encrypted or not; StorageError, as `Checked`."""
    return _whole(store.get_stream(part.key), part.key, part.size, part.sha256)


def measured(store: Store, key: str) -> Stored:
    """The size and digest of an object as the store has it."""
    digest, size = hashlib.sha256(), 0
    for chunk in store.get_stream(key):
        digest.update(chunk)
        size += len(chunk)
    return Stored(key, size, digest.hexdigest())


def _whole(chunks: Iterable[bytes], key: str, size: int | None, sha256: str | None) -> Iterator[bytes]:
    """The chunks, the last of which is held back until they are known to be right."""
    digest, found, held = hashlib.sha256(), 0, b""
    for chunk in chunks:
        digest.update(chunk)
        found += len(chunk)
        if held:
            yield held
        held = chunk
    if (found, digest.hexdigest()) != (size, sha256):
        raise StorageError(
            f"{key}: is damaged: {found} bytes with SHA-256 {digest.hexdigest()[:12]}…, "
            f"not {size} with {(sha256 or 'none')[:12]}…",
            "choose another backup: inv backup.list",
        )
    if held:
        yield held
