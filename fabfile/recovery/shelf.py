"""Releases in the bucket, beside the backups that need them: stored once by `inv build`, found by their id anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fabfile.artifact.archive import ARCHIVE, CHUNK, Release
from fabfile.errors import BadInput, Refused
from fabfile.model.holdings import PUSHED
from fabfile.model.release import Manifest
from fabfile.recovery.catalogue import READERS, Catalogue
from fabfile.recovery.integrity import Checked
from fabfile.recovery.restore import fetch_stored
from fabfile.storage.port import NotFound


@dataclass(frozen=True)
class Shelved:
    """A release in the bucket: its id, the archive's SHA-256 and size in bytes, and what its builder said of it.

    `commit` and `built_at` (ISO 8601 UTC) are empty for one that only a backup brought.
    """

    release: str
    digest: str
    size: int
    commit: str
    built_at: str
    signed: bool


class Shelf:
    """The releases of one environment in its bucket."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue, self._store = catalogue, catalogue.store

    def push(self, release: Release) -> bool:
        """Store a release; whether it was not there yet. An interrupted push is completed by the next.

        Raises Refused where another archive has its name, StorageError. What a prune may delete is first marked as
        pushed, and what is found by its id is whole.
        """
        manifest = release.manifest
        known = self._catalogue.release(manifest.id)
        if known:
            _refuse_another(manifest, known.sha256)
            if release.signature is None and self._described(manifest.id):
                return False  # it has a manifest, and perhaps a signature
        self._store.put(self._catalogue.release_key(manifest.id, PUSHED), _document(release))
        about = {"commit": manifest.commit or "", "built_at": manifest.built_at, "signed": bool(release.signature)}
        if known:
            self._catalogue.list_release(manifest.id, known, about)
            return False
        _refuse_another(manifest, self._catalogue.add_release(manifest.id, _chunks(release.path), about).sha256)
        return True

    def digest(self, identity: str) -> str | None:
        """The SHA-256 of the archive of this name, None where there is none that is whole."""
        part = self._catalogue.release(identity)
        return part.sha256 if part else None

    def fetch(self, identity: str, folder: Path) -> Release:
        """The release with its archive in `folder`. One that only a backup brought gets its manifest from its content.

        Raises BadInput where there is none, StorageError for a damaged one.
        """
        part = self._catalogue.release(identity)
        if part is None:
            where = f"dist/ or in the bucket of {self._catalogue.environment}"
            raise BadInput(f"there is no release {identity} in {where}", "inv artifacts lists what there is")
        described = self._described(identity)
        if described is None or described.manifest.digest != part.sha256:
            return fetch_stored(self._catalogue, identity, folder)
        path = folder / f"{identity}{ARCHIVE}"
        with path.open("wb") as file:
            for chunk in Checked(self._store, part):
                file.write(chunk)
        return replace(described, path=path)

    def list(self) -> tuple[Shelved, ...]:
        """Every release that is there whole, by id."""
        there = {found.key: found.size for found in self._store.list(self._catalogue.release_key())}
        entries = [key for key in there if key.endswith(".json")]
        with ThreadPoolExecutor(READERS) as pool:
            read = pool.map(self._entry, entries)
            return tuple(one for one in read if one and there.get(self._archive(one.release)) == one.size)

    def _archive(self, identity: str) -> str:
        return self._catalogue.release_key(identity, ARCHIVE)

    def _entry(self, key: str) -> Shelved | None:
        try:
            found = json.loads(self._store.get(key))
            said = (str(found.get("commit", "")), str(found.get("built_at", "")), bool(found.get("signed")))
            return Shelved(str(found["release"]), str(found["sha256"]), int(found["size"]), *said)
        except (NotFound, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _described(self, identity: str) -> Release | None:
        """Manifest and signature, without the archive; None where there are none that can be read."""
        key = self._catalogue.release_key(identity, PUSHED)
        try:
            found = json.loads(self._store.get(key))
            manifest, signature = Manifest.from_json(json.dumps(found["manifest"]), key), found["signature"]
        except (NotFound, BadInput, ValueError, KeyError, TypeError):
            return None
        if manifest.id != identity or not isinstance(signature, str | None):
            return None
        return Release(Path(), manifest, signature)


def _document(release: Release) -> bytes:
    """Both in one object, so that no signature ever stands beside another build's manifest."""
    found = {"manifest": json.loads(release.manifest.to_json()), "signature": release.signature}
    return json.dumps(found, ensure_ascii=False).encode() + b"\n"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _refuse_another(manifest: Manifest, digest: str) -> None:
    if digest != manifest.digest:
        raise Refused(
            f"another archive is called {manifest.id} in the bucket already: the same content, built by other tools",
            f"deploy that one, once dist/{manifest.id}.* is removed: inv deploy --release={manifest.id}",
            [f"{digest}: in the bucket", f"{manifest.digest}: built here"],
        )
