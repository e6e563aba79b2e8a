"""The recovery points of one environment in a store: their numbers, their keys, and which of them are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fabfile.errors import BadInput
from fabfile.model.recovery_point import RELEASE, RecoveryPoint, StoredPart, utc
from fabfile.recovery.integrity import measured
from fabfile.storage.port import AlreadyExists, Listed, NotFound, Store

MANIFEST = "manifest.json"
CLAIM = "claim.json"
READERS = 8
"""Manifests that are read at the same time."""


@dataclass(frozen=True)
class Listing:
    """The whole recovery points, newest first, and the numbers of those with a manifest that are not whole."""

    points: tuple[RecoveryPoint, ...]
    damaged: tuple[int, ...]


class Catalogue:
    """What is kept below `<prefix>/<app>/<environment>/`.

    `backups/<number>/claim.json` is a number taken, for ever; `backups/<number>/manifest.json` makes it a recovery
    point. Release archives are in `releases/`, shared by the points that need them.
    """

    def __init__(self, store: Store, prefix: str, app: str, environment: str) -> None:
        self.store, self.app, self.environment = store, app, environment
        self._root = f"{prefix}/{app}/{environment}/"

    def key(self, number: int, name: str) -> str:
        """The key of an object of one recovery point."""
        return f"{self._root}backups/{number:06d}/{name}"

    def allocate(self, run: str = "") -> int:
        """A number that nobody ever had and nobody else gets, whatever becomes of it."""
        claim = json.dumps({"at": utc(datetime.now(UTC)), "run": run}).encode()
        number = max(self._numbers(), default=0)
        while True:
            number += 1
            try:
                self.store.put(self.key(number, CLAIM), claim, if_absent=True)
            except AlreadyExists:
                continue
            return number

    def listing(self) -> Listing:
        """Every recovery point whose manifest is sound and whose parts are there in their full size."""
        there = {found.key: found for found in self.store.list(self._root)}
        numbers = sorted((n for n in map(self._manifest_number, there) if n is not None), reverse=True)
        with ThreadPoolExecutor(READERS) as pool:
            found = list(pool.map(lambda number: self._read(number, there), numbers))
        damaged = (number for number, point in zip(numbers, found, strict=True) if point is None)
        return Listing(tuple(point for point in found if point), tuple(damaged))

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The whole recovery points, newest first."""
        return self.listing().points

    def find(self, reference: str) -> RecoveryPoint:
        """The recovery point of a number such as `3`, or the newest for `latest`. Raises BadInput for any other."""
        listing = self.listing()
        if reference == "latest" and listing.points:
            return listing.points[0]
        if re.fullmatch(r"[0-9]{1,9}", reference):
            for point in listing.points:
                if point.number == int(reference):
                    return point
            if int(reference) in listing.damaged:
                raise BadInput(
                    f"backup {reference} is damaged: its manifest or one of its parts", self._choose(listing)
                )
        raise BadInput(f"there is no backup {reference} of {self.app} in {self.environment}", self._choose(listing))

    def commit(self, point: RecoveryPoint) -> None:
        """Make it a recovery point: the last thing that is stored. Raises AlreadyExists when the number has one."""
        self.store.put(self.key(point.number, MANIFEST), point.to_json(), if_absent=True)

    def record_verified(self, point: RecoveryPoint, at: datetime) -> RecoveryPoint:
        """Write down that it was restored and found equal (`at` knows its zone)."""
        verified = replace(point, verified_at=utc(at))
        self.store.put(self.key(point.number, MANIFEST), verified.to_json())
        return verified

    def remove(self, number: int) -> None:
        """Delete a recovery point, its manifest first; its number stays taken, and release archives stay."""
        self.store.delete(self.key(number, MANIFEST))
        for found in list(self.store.list(self.key(number, ""))):
            if found.key != self.key(number, CLAIM):
                self.store.delete(found.key)

    def release(self, release: str) -> StoredPart | None:
        """The archive of a release, when it is in the store whole."""
        key = self._release_key(release, ".tar.zst")
        try:
            known = json.loads(self.store.get(self._release_key(release, ".json")))
            part = StoredPart(RELEASE, key, int(known["size"]), str(known["sha256"]))
        except (NotFound, ValueError, KeyError, TypeError):
            return None
        return part if any((found.key, found.size) == (key, part.size) for found in self.store.list(key)) else None

    def add_release(self, release: str, chunks: Iterable[bytes]) -> StoredPart:
        """Store a release archive, once: one that is there already, left by a broken run, is measured and kept."""
        key = self._release_key(release, ".tar.zst")
        try:
            stored = self.store.put_stream(key, chunks, if_absent=True)
        except AlreadyExists:
            stored = measured(self.store, key)
        # Nobody replaces an archive, so whoever writes this writes the same.
        entry = {"format": 1, "release": release, "size": stored.size, "sha256": stored.sha256}
        self.store.put(self._release_key(release, ".json"), json.dumps(entry).encode() + b"\n")
        return StoredPart(RELEASE, key, stored.size, stored.sha256)

    def _release_key(self, release: str, ending: str) -> str:
        return f"{self._root}releases/{release}{ending}"

    def _numbers(self) -> Iterable[int]:
        folders = (prefix.rstrip("/").rpartition("/")[2] for prefix in self.store.prefixes(f"{self._root}backups/"))
        return [int(folder) for folder in folders if re.fullmatch(r"[0-9]{6,9}", folder)]

    def _manifest_number(self, key: str) -> int | None:
        match = re.fullmatch(r"backups/([0-9]{6,9})/" + re.escape(MANIFEST), key.removeprefix(self._root))
        return int(match[1]) if match else None

    def _read(self, number: int, there: dict[str, Listed]) -> RecoveryPoint | None:
        try:
            point = RecoveryPoint.from_json(self.store.get(self.key(number, MANIFEST)))
        except (BadInput, NotFound):
            return None
        ours = (point.number, point.app, point.environment) == (number, self.app, self.environment)
        whole = all(part.key in there and there[part.key].size == part.size for part in point.objects)
        return point if ours and whole and self._is_kept(point) else None

    def _is_kept(self, point: RecoveryPoint) -> bool:
        """Whether pgBackRest, which expires its backups by itself, has still the one of this point."""
        key = point.pgbackrest.manifest if point.pgbackrest else None
        return key is None or any(found.key == key for found in self.store.list(key))

    def _choose(self, listing: Listing) -> str:
        numbers = ", ".join(str(point.number) for point in listing.points[:10])
        more = ", …" if len(listing.points) > 10 else ""
        return f"there are: {numbers}{more} (inv backup.list)" if numbers else "there are none yet: inv backup"
