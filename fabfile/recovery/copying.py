"""The second bucket: whatever backup it lacks is read from the first, checked on the way, and listed there last."""

from __future__ import annotations

from dataclasses import replace

from fabfile.errors import StorageError
from fabfile.model.recovery_point import RELEASE, RecoveryPoint, StoredPart
from fabfile.recovery.catalogue import MANIFEST, Catalogue
from fabfile.recovery.integrity import as_stored
from fabfile.storage.port import Stored


def complete(first: Catalogue, second: Catalogue) -> tuple[int, ...]:
    """Bring every backup that the first bucket has and the second lacks there, the newest first; returns their numbers.

    May be broken off and repeated at any place. Raises StorageError; the backups in the first bucket are untouched.
    What the first bucket no longer has stays in the second; what pgBackRest keeps stays in the first.
    """
    there = {point.number: point for point in second.points()}
    brought = []
    try:
        for point in first.points():
            if point.pgbackrest:
                continue
            wanted, found = _as_in(first, second, point), there.get(point.number)
            if found is None or found.objects != wanted.objects:
                _bring(first, second, point)
                brought.append(point.number)
            if found != wanted:  # what is known of it, such as that it was verified, may be new
                second.store.put(second.key(point.number, MANIFEST), wanted.to_json())
    except StorageError as error:
        fact = f"the second bucket is not complete: {error.fact}"
        hint = "the backups in the first one are there and whole; go on with: inv backup.copy"
        raise StorageError(fact, hint, (*error.details, error.hint)) from error
    return tuple(brought)


def _as_in(first: Catalogue, second: Catalogue, point: RecoveryPoint) -> RecoveryPoint:
    """The backup as the second bucket lists it: the same but for the keys, where the prefixes differ."""
    return replace(point, objects=tuple(replace(part, key=first.key_in(second, part.key)) for part in point.objects))


def _bring(first: Catalogue, second: Catalogue, point: RecoveryPoint) -> None:
    for part in point.objects:
        chunks = as_stored(first.store, part)
        if part.name == RELEASE and point.release:
            stored: Stored | StoredPart | None = second.release(point.release)
            stored = stored or second.add_release(point.release, chunks)
        else:
            stored = second.store.put_stream(first.key_in(second, part.key), chunks)
        if (stored.size, stored.sha256) != (part.size, part.sha256):
            fact = f"{stored.key}: has {stored.size} bytes with SHA-256 {stored.sha256[:12]}…"
            hint = f"the first bucket has {part.size} with {part.sha256[:12]}…: delete the wrong one, then again"
            raise StorageError(fact, hint)
