"""Releases in the bucket: stored once and whole, found by their id, never exchanged for another of the same name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabfile.artifact.archive import Release, open_release, scan
from fabfile.errors import BadInput, Refused, StorageError
from fabfile.model.holdings import Holdings
from fabfile.planning.retention import AWAITED
from fabfile.recovery import pruning
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.shelf import Shelf
from fabfile.storage.directory import DirectoryStore
from tests.unit.artifact.test_build import application, make
from tests.unit.recovery.test_pruning import grow_old, plan

ROOT = "turnout/example/demo/releases/"


class Dying(DirectoryStore):
    """A store that is cut off after so many writes."""

    left = 1000

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        self._count()
        super().put(key, data, if_absent=if_absent)

    def _count(self) -> None:
        if not self.left:
            raise StorageError("cut off")
        self.left -= 1


@pytest.fixture
def store(tmp_path: Path) -> Dying:
    return Dying(tmp_path / "bucket")


@pytest.fixture
def shelf(store: Dying) -> Shelf:
    return Shelf(Catalogue(store, "turnout", "example", "demo"))


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return open_release(make(application(tmp_path / "app"), tmp_path / "dist"), tmp_path / "dist")


@pytest.fixture
def fetched(tmp_path: Path, shelf: Shelf) -> Callable[[str], Release]:
    folder = tmp_path / "fetched"
    folder.mkdir()
    return lambda identity: shelf.fetch(identity, folder)


def another(release: Release, folder: Path) -> Release:
    """The same content under the same id in other bytes, as another version of zstd would make it."""
    path = folder / release.path.name
    folder.mkdir()
    path.write_bytes(release.path.read_bytes() + b"(skippable)")
    return Release(path, replace(release.manifest, digest="f" * 64))


def test_what_is_stored_comes_back_whole_with_manifest_and_signature(
    shelf: Shelf, release: Release, fetched: Callable[[str], Release]
) -> None:
    signed = replace(release, signature="armoured\n")
    assert shelf.push(signed)
    found = fetched(release.manifest.id)
    assert (found.manifest, found.signature) == (release.manifest, "armoured\n")
    assert found.path.read_bytes() == release.path.read_bytes()
    scan(found.path, found.manifest)
    [listed] = shelf.list()
    assert (listed.release, listed.digest) == (release.manifest.id, release.manifest.digest)
    assert (listed.size, listed.built_at, listed.signed) == (release.manifest.size, release.manifest.built_at, True)
    assert shelf.digest(release.manifest.id) == release.manifest.digest


def test_storing_it_again_changes_nothing_and_takes_no_signature_away(
    shelf: Shelf, release: Release, fetched: Callable[[str], Release]
) -> None:
    assert shelf.push(replace(release, signature="armoured\n"))
    assert not shelf.push(replace(release, manifest=replace(release.manifest, builder="bob@elsewhere")))
    found = fetched(release.manifest.id)
    assert (found.manifest, found.signature) == (release.manifest, "armoured\n")


def test_a_signature_may_come_later(shelf: Shelf, release: Release, fetched: Callable[[str], Release]) -> None:
    shelf.push(release)
    assert fetched(release.manifest.id).signature is None
    assert not shelf.push(replace(release, signature="armoured\n"))
    assert fetched(release.manifest.id).signature == "armoured\n"
    assert [found.signed for found in shelf.list()] == [True]


def test_another_archive_of_the_same_name_is_refused_and_told_which_is_which(
    shelf: Shelf, release: Release, tmp_path: Path, fetched: Callable[[str], Release]
) -> None:
    shelf.push(release)
    with pytest.raises(Refused, match="another archive is called") as caught:
        shelf.push(another(release, tmp_path / "other"))
    assert caught.value.details == (f"{release.manifest.digest}: in the bucket", f"{'f' * 64}: built here")
    assert fetched(release.manifest.id).manifest == release.manifest


def test_a_push_that_dies_anywhere_shows_nothing_and_the_next_one_completes_it(
    shelf: Shelf, store: Dying, release: Release, fetched: Callable[[str], Release]
) -> None:
    deaths = 0
    for left in range(10):
        store.left = left
        try:
            shelf.push(release)
        except StorageError:
            deaths += 1
            store.left = 1000
            assert shelf.list() == ()
            with pytest.raises(BadInput, match="there is no release"):
                fetched(release.manifest.id)
        else:
            break
    assert deaths >= 2
    assert fetched(release.manifest.id).manifest == release.manifest


def test_a_release_that_a_backup_brought_is_found_and_becomes_one_with_a_manifest(
    shelf: Shelf, store: Dying, release: Release, fetched: Callable[[str], Release]
) -> None:
    identity = release.manifest.id
    Catalogue(store, "turnout", "example", "demo").add_release(identity, [release.path.read_bytes()])
    found = fetched(identity)
    assert (found.manifest.id, found.manifest.digest, found.manifest.files) == (
        identity,
        release.manifest.digest,
        release.manifest.files,
    )
    assert found.signature is None
    assert not shelf.push(replace(release, signature="armoured\n"))
    assert fetched(identity).manifest == release.manifest
    assert [one.built_at for one in shelf.list()] == [release.manifest.built_at]


def test_a_release_that_only_a_backup_brought_stays_once_it_is_stored_itself(
    shelf: Shelf, store: Dying, release: Release, fetched: Callable[[str], Release]
) -> None:
    """A prune takes what no backup needs any more, and leaves what waits for its deploy."""
    catalogue = Catalogue(store, "turnout", "example", "demo")
    catalogue.add_release(release.manifest.id, [release.path.read_bytes()])
    assert not shelf.push(release)
    [archive] = catalogue.holdings().archives
    assert archive.pushed
    assert fetched(release.manifest.id).manifest == release.manifest
    assert [(one.built_at, one.signed) for one in shelf.list()] == [(release.manifest.built_at, False)]


def test_a_release_that_is_not_there_is_told_with_where_to_look(fetched: Callable[[str], Release]) -> None:
    with pytest.raises(BadInput, match=r"there is no release 1\.0-abc in dist/ or in the bucket of demo") as caught:
        fetched("1.0-abc")
    assert caught.value.hint.startswith("inv artifacts")


def test_a_damaged_archive_is_not_given_out(
    shelf: Shelf, store: Dying, release: Release, fetched: Callable[[str], Release]
) -> None:
    shelf.push(release)
    key = f"{ROOT}{release.manifest.id}.tar.zst"
    data = bytearray(store.get(key))
    data[len(data) // 2] ^= 1
    store.put(key, bytes(data))
    with pytest.raises(StorageError, match="is damaged"):
        fetched(release.manifest.id)


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"manifest": {}, "signature": null}', b'{"manifest": 3}'])
def test_a_manifest_that_cannot_be_used_is_made_anew_from_the_content(
    shelf: Shelf, store: Dying, release: Release, text: bytes, fetched: Callable[[str], Release]
) -> None:
    shelf.push(release)
    store.put(f"{ROOT}{release.manifest.id}.tar.zst.manifest", text)
    found = fetched(release.manifest.id)
    assert (found.manifest.files, found.manifest.builder) == (release.manifest.files, "restored")


def test_a_manifest_of_another_release_is_not_believed(
    shelf: Shelf, store: Dying, release: Release, tmp_path: Path, fetched: Callable[[str], Release]
) -> None:
    other = open_release(make(application(tmp_path / "b", "2.0.0"), tmp_path / "dist"), tmp_path / "dist")
    for one in (release, other):
        shelf.push(one)
    store.put(f"{ROOT}{release.manifest.id}.tar.zst.manifest", store.get(f"{ROOT}{other.manifest.id}.tar.zst.manifest"))
    found = fetched(release.manifest.id)
    assert (found.manifest.id, found.manifest.builder) == (release.manifest.id, "restored")


def test_a_manifest_of_other_bytes_of_the_same_name_is_not_believed(
    shelf: Shelf, store: Dying, release: Release, fetched: Callable[[str], Release]
) -> None:
    shelf.push(replace(release, signature="armoured\n"))
    key = f"{ROOT}{release.manifest.id}.tar.zst.manifest"
    document = json.loads(store.get(key))
    document["manifest"]["digest"] = "f" * 64
    store.put(key, json.dumps(document).encode())
    found = fetched(release.manifest.id)
    assert (found.manifest.digest, found.signature) == (release.manifest.digest, None)


def test_entries_that_cannot_be_read_and_archives_that_are_cut_are_not_listed(
    shelf: Shelf, store: Dying, release: Release
) -> None:
    shelf.push(release)
    store.put(f"{ROOT}torn.json", b"{")
    store.put(f"{ROOT}lost.json", json.dumps({"release": "lost", "sha256": "a" * 64, "size": 3}).encode())
    assert [found.release for found in shelf.list()] == [release.manifest.id]


def test_pruning_leaves_what_waits_for_its_deploy_and_takes_it_whole_later(
    shelf: Shelf, store: Dying, release: Release, tmp_path: Path
) -> None:
    catalogue = Catalogue(store, "turnout", "example", "demo")
    shelf.push(release)
    grow_old(tmp_path / "bucket")
    assert pruning.prune(catalogue, plan).empty
    newer = open_release(make(application(tmp_path / "b", "2.0.0"), tmp_path / "dist"), tmp_path / "dist")
    long_ago = (datetime.now(UTC) - AWAITED - timedelta(days=1)).timestamp()
    for path in (tmp_path / "bucket").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    shelf.push(newer)
    holdings: Holdings = catalogue.holdings()
    assert {archive.release for archive in holdings.archives} == {release.manifest.id, newer.manifest.id}
    assert [archive.release for archive in pruning.prune(catalogue, plan).archives] == [release.manifest.id]
    assert [found.release for found in shelf.list()] == [newer.manifest.id]
    assert not [found.key for found in store.list(ROOT) if release.manifest.id in found.key]
