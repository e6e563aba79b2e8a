"""The recovery points of one environment in a store: their numbers, their keys, and which of them are whole."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

from fabfile.errors import BadInput
from fabfile.model.holdings import PUSHED, Archive, Holdings, Unlisted, release_of
from fabfile.model.recovery_point import RELEASE, VERIFICATION, RecoveryPoint, StoredPart, Verification, utc
from fabfile.recovery.integrity import measured
from fabfile.storage.port import AlreadyExists, Listed, NotFound, Store

MANIFEST = "manifest.json"
VERIFIED = "verification.json"
CLAIM = "claim.json"
READERS = 8
"""Manifests that are read at the same time."""
NOT_FOREVER = "pgBackRest lets its backups go by itself, so that none of them can be kept forever"
KEEP_FULL = "have it keep more of them: database.repository.keep_full, then inv backup.pitr-setup --yes"


@dataclass(frozen=True)
class Listing:
    """The whole recovery points, newest first, and the numbers of those with a manifest that are not whole: damaged, or
    given up by pgBackRest."""

    points: tuple[RecoveryPoint, ...]
    damaged: tuple[int, ...]
    expired: tuple[int, ...] = ()


class Catalogue:
    """What is kept below `<prefix>/<app>/<environment>/`.

    `backups/<number>/claim.json` is a number taken, for ever; `backups/<number>/manifest.json` makes it a recovery
    point, and `verification.json` is what came of trying it. Release archives are in `releases/`, shared by the points
    that need them.
    """

    def __init__(self, store: Store, prefix: str, app: str, environment: str) -> None:
        self.store, self.app, self.environment = store, app, environment
        self._root = f"{prefix}/{app}/{environment}/"

    def key(self, number: int, name: str) -> str:
        """The key of an object of one recovery point."""
        return f"{self._root}backups/{number:06d}/{name}"

    def key_in(self, other: Catalogue, key: str) -> str:
        """What a key of ours is called in another catalogue of the same environment."""
        return other._root + key.removeprefix(self._root)

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
        holdings = self.holdings()
        expired = tuple(point.number for point in holdings.expired)
        return Listing(holdings.points, tuple(sorted(holdings.damaged, reverse=True)), expired)

    def holdings(self) -> Holdings:
        """All that the store has of this environment, as it is at one moment."""
        there = {found.key: found for part in ("backups/", "releases/") for found in self.store.list(self._root + part)}
        folders: dict[int, dict[str, Listed]] = defaultdict(dict)
        releases: dict[str, list[Listed]] = defaultdict(list)
        for key, found in there.items():
            if match := re.fullmatch(r"backups/([0-9]{6,9})/(.+)", key.removeprefix(self._root)):
                folders[int(match[1])][match[2]] = found
            elif key.startswith(f"{self._root}releases/"):
                releases[release_of(key)].append(found)
        numbers = sorted((number for number, names in folders.items() if MANIFEST in names), reverse=True)
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(lambda number: self._read(number, VERIFIED in folders[number]), numbers)
            points = dict(zip(numbers, read, strict=True))
            servers = [point.pgbackrest.manifest for point in points.values() if point and point.pgbackrest]
            for listed in pool.map(lambda key: list(self.store.list(key)), servers):
                there |= {found.key: found for found in listed}
        whole = {number: point for number, point in points.items() if point and _is_whole(point, there)}
        expired = _expired([point for point in points.values() if point], whole, there)
        return Holdings(
            tuple(whole.values()),
            {number: point for number, point in points.items() if number not in whole and point not in expired},
            tuple(_unlisted(number, names) for number, names in sorted(folders.items()) if MANIFEST not in names),
            tuple(_archive(release, found) for release, found in sorted(releases.items())),
            expired,
        )

    def points(self) -> tuple[RecoveryPoint, ...]:
        """The whole recovery points, newest first."""
        return self.listing().points

    def find(self, reference: str) -> RecoveryPoint:
        """The recovery point of a number such as `3`, the newest for `latest`, the newest full one for `latest-full`.

        Raises BadInput for any other.
        """
        listing = self.listing()
        for point in listing.points:
            if reference == "latest" or (reference == "latest-full" and point.kind == "full"):
                return point
        if re.fullmatch(r"[0-9]{1,9}", reference):
            for point in listing.points:
                if point.number == int(reference):
                    return point
            if int(reference) in listing.damaged:
                raise BadInput(
                    f"backup {reference} is damaged: its manifest or one of its parts", self._choose(listing)
                )
            if int(reference) in listing.expired:
                raise BadInput(f"backup {reference} is over: pgBackRest has let its server go", self._choose(listing))
        raise BadInput(f"there is no backup {reference} of {self.app} in {self.environment}", self._choose(listing))

    def commit(self, point: RecoveryPoint) -> None:
        """Make it a recovery point: the last thing that is stored. Raises AlreadyExists when the number has one."""
        self.store.put(self.key(point.number, MANIFEST), point.to_json(), if_absent=True)

    def record_kept(self, point: RecoveryPoint, forever: bool) -> RecoveryPoint:
        """Write down whether retention may ever delete it.

        Raises BadInput when it was deleted meanwhile, and when it is pgBackRest that deletes it.
        """
        number = point.number
        if point.pgbackrest and forever:
            raise BadInput(f"backup {number}: {NOT_FOREVER}", KEEP_FULL)
        try:
            present = RecoveryPoint.from_json(self.store.get(self.key(number, MANIFEST)))
        except NotFound as error:
            raise BadInput(f"backup {number} has been deleted meanwhile", "choose another: inv backup.list") from error
        self.store.put(self.key(number, MANIFEST), replace(present, keep_forever=forever).to_json())
        return replace(point, keep_forever=forever)

    def discard(self, point: RecoveryPoint) -> bool:
        """Delete a recovery point, unless its manifest is not what it was when this was decided."""
        if self._read(point.number) != point:
            return False
        self.remove(point.number)
        return True

    def record_verified(self, point: RecoveryPoint, verification: Verification) -> RecoveryPoint:
        """Write down what came of restoring it, beside its manifest: whoever changes that meanwhile loses nothing.

        Raises NotFound when it was deleted meanwhile.
        """
        before = point.verification
        if before and verification.drill is None and verification.outcome == "passed":
            verification = replace(verification, drill=before.drill)
        self.store.get(self.key(point.number, MANIFEST))
        self.store.put(self.key(point.number, VERIFIED), VERIFICATION.dump_json(verification, indent=1) + b"\n")
        return point.judged(verification)

    def remove(self, number: int) -> None:
        """Delete a recovery point, its manifest first; its number stays taken, and release archives stay."""
        self.store.delete(self.key(number, MANIFEST))
        for found in list(self.store.list(self.key(number, ""))):
            if found.key != self.key(number, CLAIM):
                self.store.delete(found.key)

    def release(self, release: str) -> StoredPart | None:
        """The archive of a release, when it is in the store whole."""
        key = self.release_key(release, ".tar.zst")
        try:
            known = json.loads(self.store.get(self.release_key(release, ".json")))
            part = StoredPart(RELEASE, key, int(known["size"]), str(known["sha256"]))
        except (NotFound, ValueError, KeyError, TypeError):
            return None
        return part if any((found.key, found.size) == (key, part.size) for found in self.store.list(key)) else None

    def add_release(
        self, release: str, chunks: Iterable[bytes], about: Mapping[str, object] = MappingProxyType({})
    ) -> StoredPart:
        """Store a release archive, once: one that is there already, left by a broken run, is measured and kept.

        What is said `about` it is listed with it.
        """
        key = self.release_key(release, ".tar.zst")
        try:
            stored = self.store.put_stream(key, chunks, if_absent=True)
        except AlreadyExists:
            stored = measured(self.store, key)
        part = StoredPart(RELEASE, key, stored.size, stored.sha256)
        self.list_release(release, part, about)
        return part

    def list_release(self, release: str, part: StoredPart, about: Mapping[str, object]) -> None:
        """Make an archive known. Nobody replaces one, so its size and digest are the same whoever writes this."""
        entry = {**about, "format": 1, "release": release, "size": part.size, "sha256": part.sha256}
        self.store.put(self.release_key(release, ".json"), json.dumps(entry).encode() + b"\n")

    def release_key(self, release: str = "", ending: str = "") -> str:
        """The key of an object of a release; without any, where all of them are."""
        return f"{self._root}releases/{release}{ending}"

    def _numbers(self) -> Iterable[int]:
        folders = (prefix.rstrip("/").rpartition("/")[2] for prefix in self.store.prefixes(f"{self._root}backups/"))
        return [int(folder) for folder in folders if re.fullmatch(r"[0-9]{6,9}", folder)]

    def _read(self, number: int, tried: bool = True) -> RecoveryPoint | None:
        try:
            point = RecoveryPoint.from_json(self.store.get(self.key(number, MANIFEST)))
        except (BadInput, NotFound):
            return None
        if tried:
            with suppress(NotFound, ValueError):  # one that cannot be read says nothing about its backup
                point = point.judged(VERIFICATION.validate_json(self.store.get(self.key(number, VERIFIED))))
        ours = (point.number, point.app, point.environment) == (number, self.app, self.environment)
        return point if ours else None

    def _choose(self, listing: Listing) -> str:
        numbers = ", ".join(str(point.number) for point in listing.points[:10])
        more = ", …" if len(listing.points) > 10 else ""
        return f"there are: {numbers}{more} (inv backup.list)" if numbers else "there are none yet: inv backup"


def _is_whole(point: RecoveryPoint, there: Mapping[str, Listed]) -> bool:
    parts = all(part.key in there and there[part.key].size == part.size for part in point.objects)
    return parts and (point.pgbackrest is None or point.pgbackrest.manifest in there)


def _expired(
    points: Iterable[RecoveryPoint], whole: Mapping[int, RecoveryPoint], there: Mapping[str, Listed]
) -> tuple[RecoveryPoint, ...]:
    """Those that pgBackRest has let go, the newest first: it does so only when it has a newer one that is whole."""
    newest = max((number for number, point in whole.items() if point.pgbackrest), default=0)
    return tuple(
        point
        for point in points
        if point.pgbackrest and point.pgbackrest.manifest not in there and point.number < newest
    )


def _unlisted(number: int, names: Mapping[str, Listed]) -> Unlisted:
    objects = [found for name, found in names.items() if name != CLAIM]
    touched = max(found.modified for found in names.values())
    return Unlisted(number, tuple(found.key for found in objects), sum(found.size for found in objects), touched)


def _archive(release: str, found: Iterable[Listed]) -> Archive:
    """What makes it known goes first, so that nobody relies on an archive that is about to go."""
    ordered = sorted(found, key=lambda listed: not listed.key.endswith(".json"))
    pushed = next((listed.modified for listed in ordered if listed.key.endswith(PUSHED)), None)
    size = sum(listed.size for listed in ordered)
    return Archive(release, tuple(listed.key for listed in ordered), size, pushed)
