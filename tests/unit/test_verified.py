"""Which releases were verified: found by exactly their archive, and only those of this environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.errors import StorageError
from fabfile.storage.directory import DirectoryStore
from fabfile.verified import VerifiedReleases
from tests.unit.model.test_verified import RECORD


@pytest.fixture
def releases(tmp_path: Path) -> VerifiedReleases:
    return VerifiedReleases(DirectoryStore(tmp_path), "verified/", "shop", "staging")


def test_a_record_is_found_by_its_archive_and_by_no_other_of_its_name(releases: VerifiedReleases) -> None:
    assert releases.find("1.0-abc", "a" * 64) is None
    releases.add(RECORD)
    assert releases.find("1.0-abc", "a" * 64) == RECORD
    assert releases.find("1.0-abc", "b" * 64) is None
    assert releases.of("1.0-abc") == (RECORD,)
    assert releases.of("1.0-ab") == ()


def test_of_archives_of_one_name_the_newest_record_comes_first(releases: VerifiedReleases) -> None:
    later = replace(RECORD, digest="0" * 64, at="2026-11-22T10:00:00+00:00")
    for record in (later, RECORD):
        releases.add(record)
    assert releases.of("1.0-abc") == (later, RECORD)


def test_a_later_deploy_of_the_same_archive_takes_the_place_of_an_earlier_one(releases: VerifiedReleases) -> None:
    later = replace(RECORD, by="bob@laptop", run="r2", at="2026-11-22T10:00:00+00:00")
    releases.add(RECORD)
    releases.add(later)
    assert releases.of("1.0-abc") == (later,)


@pytest.mark.parametrize("change", [{"environment": "production"}, {"app": "stock"}, {"release": "2.0-abc"}])
def test_a_record_that_was_put_into_another_place_counts_for_nothing(
    releases: VerifiedReleases, tmp_path: Path, change: dict[str, str]
) -> None:
    foreign = replace(RECORD, **change)
    DirectoryStore(tmp_path).put(f"verified/1.0-abc/{'a' * 64}.json", foreign.to_json())
    assert releases.find("1.0-abc", "a" * 64) is None
    assert releases.of("1.0-abc") == ()


def test_a_record_that_cannot_be_read_is_told(releases: VerifiedReleases, tmp_path: Path) -> None:
    DirectoryStore(tmp_path).put(f"verified/1.0-abc/{'a' * 64}.json", b"{")
    with pytest.raises(StorageError, match=r"verified/1\.0-abc/a+\.json") as caught:
        releases.of("1.0-abc")
    assert caught.value.hint == "deploy 1.0-abc to staging again"
