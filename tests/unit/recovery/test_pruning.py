"""Pruning a real store: what goes, in which order, and how a prune that died is completed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fabfile.config.backup import RetentionSettings
from fabfile.errors import BadInput, StorageError
from fabfile.model.holdings import Holdings
from fabfile.model.recovery_point import RecoveryPoint, StoredPart, Verification, utc
from fabfile.planning.retention import Prune, plan_prune
from fabfile.recovery import pruning
from fabfile.recovery.catalogue import Catalogue
from fabfile.storage.directory import DirectoryStore

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
RULES = RetentionSettings(min_keep=1)


class Dying(DirectoryStore):
    """A store that is cut off after so many deletions."""

    left = 1000

    def delete(self, key: str) -> None:
        if any(found.key == key for found in self.list(key)):
            if not self.left:
                raise StorageError("cut off")
            self.left -= 1
        super().delete(key)


@pytest.fixture
def store(tmp_path: Path) -> Dying:
    return Dying(tmp_path)


@pytest.fixture
def catalogue(store: Dying) -> Catalogue:
    return Catalogue(store, "turnout", "example", "demo")


def add(catalogue: Catalogue, release: str, age: timedelta, verified: bool = True) -> RecoveryPoint:
    number = catalogue.allocate("r")
    stored = catalogue.store.put_stream(catalogue.key(number, "database.pgdump.zst"), [b"dump"])
    archive = catalogue.release(release) or catalogue.add_release(release, [release.encode()])
    point = RecoveryPoint(
        format=1,
        number=number,
        app="example",
        environment="demo",
        kind="full",
        reason="by hand",
        created_at=utc(NOW - age),
        release=release,
        release_digest=archive.sha256,
        run="r",
        seconds=0.0,
        objects=(StoredPart("database", stored.key, stored.size, stored.sha256), archive),
        verified_at=utc(NOW) if verified else None,
    )
    catalogue.commit(point)
    return point


def plan(holdings: Holdings, now: datetime, needed: Collection[int] = ()) -> Prune:
    return plan_prune(holdings, RULES, now, needed)


def grow_old(folder: Path, age: timedelta = 2 * DAY) -> None:
    """Let everything in the store have been put there long ago."""
    then = (NOW - age).timestamp()
    for path in folder.rglob("*"):
        os.utime(path, (then, then))


def names(catalogue: Catalogue) -> list[str]:
    root = "turnout/example/demo/"
    return [found.key.removeprefix(root) for found in catalogue.store.list(root)]


@pytest.fixture
def three(catalogue: Catalogue, tmp_path: Path) -> Iterator[tuple[RecoveryPoint, ...]]:
    """Two that are too old, of which the second shares its release with the third, and the newest."""
    yield (add(catalogue, "1.0", 90 * DAY), add(catalogue, "2.0", 80 * DAY), add(catalogue, "2.0", DAY))
    grow_old(tmp_path)


LEFT = [
    "backups/000001/claim.json",
    "backups/000002/claim.json",
    "backups/000003/claim.json",
    "backups/000003/database.pgdump.zst",
    "backups/000003/manifest.json",
    "releases/2.0.json",
    "releases/2.0.tar.zst",
]


def test_old_backups_and_releases_that_nobody_refers_to_go_and_numbers_stay_taken(
    catalogue: Catalogue, three: tuple[RecoveryPoint, ...], tmp_path: Path
) -> None:
    grow_old(tmp_path)
    done = pruning.prune(catalogue, plan)
    assert [point.number for point in done.doomed] == [1, 2]
    assert [archive.release for archive in done.archives] == ["1.0"]
    assert names(catalogue) == LEFT
    assert catalogue.points() == three[2:]
    assert catalogue.allocate() == 4


def test_a_prune_that_dies_anywhere_lists_nothing_broken_and_the_next_one_completes_it(
    catalogue: Catalogue, store: Dying, three: tuple[RecoveryPoint, ...], tmp_path: Path
) -> None:
    grow_old(tmp_path)
    deaths = 0
    while True:
        store.left = 1
        try:
            pruning.prune(catalogue, plan)
        except StorageError:
            deaths += 1
        assert catalogue.listing().damaged == ()
        if names(catalogue) == LEFT:
            break
        assert deaths < 20
    assert deaths >= 5
    assert catalogue.points() == three[2:]


def test_what_is_left_of_a_backup_that_broke_off_goes_a_day_later(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.store.put(catalogue.key(catalogue.allocate(), "database.pgdump.zst"), b"du")
    catalogue.add_release("1.0", [b"archive"])
    assert pruning.prune(catalogue, plan).empty
    assert len(names(catalogue)) == 4
    grow_old(tmp_path)
    assert not pruning.prune(catalogue, plan).empty
    assert names(catalogue) == ["backups/000001/claim.json"]


def test_a_backup_that_is_marked_while_prune_is_deciding_stays_with_its_release(
    catalogue: Catalogue, three: tuple[RecoveryPoint, ...], tmp_path: Path
) -> None:
    grow_old(tmp_path)
    marked: list[RecoveryPoint] = []

    def slowly(holdings: Holdings, now: datetime) -> Prune:
        decided = plan(holdings, now)
        if not marked:
            marked.append(catalogue.record_kept(three[0], True))
        return decided

    done = pruning.prune(catalogue, slowly)
    assert [(judged.point.number, judged.keep) for judged in done.judgements] == [(3, True), (2, False), (1, True)]
    assert catalogue.points() == (three[2], *marked)
    assert catalogue.release("1.0") == three[0].part("release")


def test_marks_of_two_people_do_not_undo_each_other(catalogue: Catalogue) -> None:
    point = add(catalogue, "1.0", DAY, verified=False)
    catalogue.record_kept(point, True)
    catalogue.record_verified(point, Verification(utc(NOW), "passed", "ann@laptop", 1.0))
    both = catalogue.find("1")
    assert (both.keep_forever, both.verified_at) == (True, utc(NOW))
    assert not catalogue.record_kept(point, False).keep_forever
    assert catalogue.find("1").verified_at == utc(NOW)


def test_a_backup_that_was_deleted_meanwhile_is_not_brought_back_by_a_mark(catalogue: Catalogue) -> None:
    point = add(catalogue, "1.0", DAY)
    catalogue.remove(point.number)
    with pytest.raises(BadInput, match="has been deleted meanwhile"):
        catalogue.record_kept(point, True)
    assert catalogue.points() == ()


def test_a_damaged_backup_is_left_as_it_is_and_so_is_the_archive_that_it_may_need(
    catalogue: Catalogue, three: tuple[RecoveryPoint, ...], tmp_path: Path
) -> None:
    catalogue.store.put(catalogue.key(1, "manifest.json"), b"{")
    grow_old(tmp_path)
    done = pruning.prune(catalogue, plan)
    assert [point.number for point in done.doomed] == [2]
    assert done.archives == ()
    assert any("backup 1 is damaged" in note for note in done.notes)
    assert catalogue.release("1.0") is not None
    assert "backups/000001/database.pgdump.zst" in names(catalogue)
