"""The catalogue over a real store in a folder: numbers, what is listed and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.errors import BadInput, StorageError
from fabfile.model.recovery_point import Drill, RecoveryPoint, StoredPart, Verification
from fabfile.recovery.catalogue import Catalogue
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import AlreadyExists, NotFound


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(DirectoryStore(tmp_path), "turnout", "example", "demo")


def add(catalogue: Catalogue, number: int, content: bytes = b"dump") -> RecoveryPoint:
    stored = catalogue.store.put_stream(catalogue.key(number, "database.pgdump.zst"), [content])
    point = RecoveryPoint(
        format=1,
        number=number,
        app="example",
        environment="demo",
        kind="database",
        reason="manual",
        created_at="2025-01-31T03:00:00Z",
        release=None,
        release_digest=None,
        run="r",
        seconds=0.0,
        objects=(StoredPart("database", stored.key, stored.size, stored.sha256),),
    )
    catalogue.commit(point)
    return point


def test_eight_at_once_get_eight_different_numbers(catalogue: Catalogue) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: catalogue.allocate(), range(8)))
    assert sorted(numbers) == list(range(1, 9))


def test_a_number_is_never_given_twice(catalogue: Catalogue) -> None:
    failed, removed = catalogue.allocate(), catalogue.allocate()
    catalogue.remove(failed)
    add(catalogue, removed)
    catalogue.remove(removed)
    assert catalogue.points() == ()
    assert catalogue.allocate() == removed + 1


def test_points_are_listed_newest_first_past_a_million(catalogue: Catalogue) -> None:
    points = [add(catalogue, number) for number in (999_999, 2, 1_000_000)]
    assert catalogue.points() == (points[2], points[0], points[1])
    assert catalogue.allocate() == 1_000_001


def test_what_has_no_manifest_is_no_recovery_point(catalogue: Catalogue) -> None:
    catalogue.store.put(catalogue.key(catalogue.allocate(), "database.pgdump.zst"), b"half a dump")
    assert catalogue.listing().points == ()
    assert catalogue.listing().damaged == ()


def test_a_damaged_manifest_is_reported_and_hides_no_other(catalogue: Catalogue) -> None:
    good = add(catalogue, 1)
    add(catalogue, 2)
    cut = catalogue.store.get(catalogue.key(2, "manifest.json"))[:-9]
    catalogue.store.put(catalogue.key(2, "manifest.json"), cut)
    assert catalogue.listing().points == (good,)
    assert catalogue.listing().damaged == (2,)
    with pytest.raises(BadInput, match="backup 2 is damaged"):
        catalogue.find("2")
    assert catalogue.find("latest") == good


@pytest.mark.parametrize("content", [None, b"dum", b"dumpp"])
def test_a_point_whose_part_is_gone_or_of_another_size_is_damaged(catalogue: Catalogue, content: bytes | None) -> None:
    key = add(catalogue, 1).objects[0].key
    if content is None:
        catalogue.store.delete(key)
    else:
        catalogue.store.put(key, content)
    assert (catalogue.listing().points, catalogue.listing().damaged) == ((), (1,))


def test_a_manifest_under_the_wrong_number_or_of_another_environment_is_damaged(catalogue: Catalogue) -> None:
    point = add(catalogue, 1)
    catalogue.store.put(catalogue.key(2, "manifest.json"), point.to_json())
    other = Catalogue(catalogue.store, "turnout", "example", "other")
    other.store.put(other.key(1, "manifest.json"), point.to_json())
    assert catalogue.listing().damaged == (2,)
    assert other.listing().damaged == (1,)


def test_environments_share_a_bucket_without_seeing_each_other(catalogue: Catalogue) -> None:
    add(catalogue, 4)
    other = Catalogue(catalogue.store, "turnout", "example", "dem")
    assert other.points() == ()
    assert other.allocate() == 1


def test_find_takes_a_number_or_latest_and_lists_what_there_is(catalogue: Catalogue) -> None:
    with pytest.raises(BadInput) as none_yet:
        catalogue.find("latest")
    assert none_yet.value.hint == "there are none yet: inv backup"
    first, second = add(catalogue, 3), add(catalogue, 12)
    assert catalogue.find("3") == catalogue.find("003") == first
    assert catalogue.find("latest") == second
    for reference in ("4", "-3", "newest", "", "3.0"):
        with pytest.raises(BadInput) as refused:
            catalogue.find(reference)
        assert refused.value.hint.startswith("there are: 12, 3 ")


def test_the_latest_full_one_is_told_from_one_of_a_part(catalogue: Catalogue) -> None:
    full = replace(add(catalogue, 1), number=2, kind="full")
    catalogue.commit(full)
    part = add(catalogue, 3)
    assert catalogue.find("latest") == part
    assert catalogue.find("latest-full") == full


def test_a_committed_point_is_not_replaced_by_another_run(catalogue: Catalogue) -> None:
    point = add(catalogue, 1)
    with pytest.raises(AlreadyExists):
        catalogue.commit(point)


DRILL = Drill("2025-02-01T00:00:00Z", "h1", {"database": 2.0, "healthy": 0.5})
PASSED = Verification("2025-02-01T00:00:00Z", "passed", "ann@laptop", 3.0)
FAILED = Verification("2025-02-02T00:00:00Z", "failed", "ann@laptop", 3.0, ("public.items: 3 rows",))


def test_a_verified_point_says_when_and_by_whom(catalogue: Catalogue) -> None:
    point = catalogue.record_verified(add(catalogue, 1), PASSED)
    assert (point.verified_at, point.verification) == ("2025-02-01T00:00:00Z", PASSED)
    assert catalogue.points() == (point,)


def test_a_point_that_failed_later_is_not_verified_any_more_and_still_listed(catalogue: Catalogue) -> None:
    point = catalogue.record_verified(add(catalogue, 1), PASSED)
    catalogue.record_verified(point, FAILED)
    (found,) = catalogue.points()
    assert (found.verified_at, found.verification) == (None, FAILED)


def test_a_drill_is_remembered_until_a_newer_one_or_a_failure(catalogue: Catalogue) -> None:
    point = catalogue.record_verified(add(catalogue, 1), replace(PASSED, drill=DRILL))
    again = catalogue.record_verified(point, PASSED)
    assert catalogue.points() == (again,)
    assert again.verification and again.verification.drill == DRILL
    assert DRILL.seconds == 2.5
    failed = catalogue.record_verified(again, FAILED)
    assert failed.verification and failed.verification.drill is None


def test_whoever_changes_the_manifest_during_a_verification_loses_nothing(catalogue: Catalogue) -> None:
    point = add(catalogue, 1)
    changed = replace(point, reason="before the sale")
    catalogue.store.put(catalogue.key(1, "manifest.json"), changed.to_json())
    catalogue.record_verified(point, PASSED)
    (found,) = catalogue.points()
    assert (found.reason, found.verification) == ("before the sale", PASSED)


def test_nothing_is_written_about_a_point_that_was_deleted_meanwhile(catalogue: Catalogue) -> None:
    point = add(catalogue, 1)
    catalogue.remove(1)
    with pytest.raises(NotFound):
        catalogue.record_verified(point, PASSED)
    assert list(catalogue.store.list(catalogue.key(1, "verification"))) == []


def test_an_unreadable_verification_hides_no_point_and_verifies_none(catalogue: Catalogue) -> None:
    point = add(catalogue, 1)
    catalogue.store.put(catalogue.key(1, "verification.json"), b'{"at": "2025-02-0')
    assert catalogue.points() == (point,)


def test_a_release_is_stored_once(catalogue: Catalogue) -> None:
    assert catalogue.release("1.0.0") is None
    first = catalogue.add_release("1.0.0", [b"arch", b"ive"])
    assert catalogue.release("1.0.0") == first
    assert catalogue.add_release("1.0.0", [b"something else"]) == first
    assert catalogue.store.get(first.key) == b"archive"


def test_an_archive_left_by_a_run_that_broke_off_is_taken_as_it_is(catalogue: Catalogue) -> None:
    first = catalogue.add_release("1.0.0", [b"archive"])
    catalogue.store.delete(first.key.replace(".tar.zst", ".json"))
    assert catalogue.release("1.0.0") is None
    assert catalogue.add_release("1.0.0", [b"archive"]) == first


def test_a_release_whose_archive_is_gone_counts_as_absent(catalogue: Catalogue) -> None:
    first = catalogue.add_release("1.0.0", [b"archive"])
    catalogue.store.delete(first.key)
    assert catalogue.release("1.0.0") is None
    assert catalogue.add_release("1.0.0", [b"archive"]) == first
    assert catalogue.release("1.0.0") == first


def test_a_release_that_breaks_off_is_not_stored(catalogue: Catalogue) -> None:
    def broken() -> Iterator[bytes]:
        yield b"arch"
        raise StorageError("cut")

    with pytest.raises(StorageError, match="cut"):
        catalogue.add_release("1.0.0", broken())
    assert list(catalogue.store.list("")) == []
