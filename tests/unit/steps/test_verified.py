"""The note of a deploy that ended well: written last, told when it cannot be, made up for by the next deploy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fabfile.engine.events import Event, Note
from fabfile.engine.run import Run
from fabfile.engine.runner import follow_up
from fabfile.errors import BadInput, StorageError
from fabfile.model.observed import HistoryEntry
from fabfile.model.paths import Paths
from fabfile.model.plan import Plan
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps.target import Target
from fabfile.steps.verified import make_up, verified
from fabfile.storage.directory import DirectoryStore
from fabfile.verified import VerifiedReleases
from tests.unit.planning.test_deploy_plan import ENVIRONMENT

DIGEST = "d" * 64
PLAN = Plan("deploy", "deploy", "2.0-abc", (), (), promoted_from="staging")
TARGET = Target("r9", "live", "ann@laptop", "", PLAN, ENVIRONMENT, Paths("shop"), {}, "", {})
ENTRY = HistoryEntry("2026-11-20T10:00:00+00:00", "deploy", "2.0-abc", "bob@ci", "r5", promoted_from="staging")


def digest() -> str:
    return DIGEST


def unknown() -> str:
    raise BadInput("no host keeps release 2.0-abc")


def unreachable() -> VerifiedReleases:
    raise StorageError("the bucket does not answer")


@pytest.fixture
def releases(tmp_path: Path) -> VerifiedReleases:
    return VerifiedReleases(DirectoryStore(tmp_path), "verified/", "shop", "live")


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., list[str]]:
    """Do the step after a run as the runner does; what was told."""

    def work(store: Callable[[], VerifiedReleases], told: Callable[[], str] = digest) -> list[str]:
        events: list[Event] = []
        run = Run("r9", "deploy", Fleet({}), Paths("shop"), {}, events.append, LocalHost)
        follow_up([verified(store, TARGET, told)], run)
        return [event.text for event in events if isinstance(event, Note)]

    return work


def test_who_verified_what_when_by_which_run_is_noted(
    releases: VerifiedReleases, follow: Callable[..., list[str]]
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert follow(lambda: releases) == []
    [found] = releases.of("2.0-abc")
    assert (found.app, found.environment, found.release, found.digest) == ("shop", "live", "2.0-abc", DIGEST)
    assert (found.by, found.run, found.promoted_from) == ("ann@laptop", "r9", "staging")
    assert before <= datetime.fromisoformat(found.at) <= datetime.now(UTC)


@pytest.mark.parametrize(("broken", "why"), [("store", "does not answer"), ("digest", "no host keeps")])
def test_a_deploy_stands_though_its_note_could_not_be_written(
    releases: VerifiedReleases, follow: Callable[..., list[str]], broken: str, why: str
) -> None:
    told = follow(unreachable) if broken == "store" else follow(lambda: releases, unknown)
    assert why in told[0]
    assert "the outcome of deploy stands" in told[0]
    assert told[-1] == "inv promote asks for that: inv deploy --release=2.0-abc --env=live notes it"


def test_a_note_that_is_missing_is_made_up_for_with_the_deploy_that_earned_it(releases: VerifiedReleases) -> None:
    said = make_up(lambda: releases, TARGET, digest, ENTRY)
    assert said == "noted that live verified 2.0-abc at 2026-11-20T10:00:00+00:00"
    [found] = releases.of("2.0-abc")
    assert (found.by, found.at, found.run, found.promoted_from) == ("bob@ci", ENTRY.at, "r5", "staging")
    later = replace(ENTRY, at="2026-11-22T10:00:00+00:00")
    assert make_up(lambda: releases, TARGET, digest, later) is None
    assert releases.of("2.0-abc") == (found,)


def test_nothing_is_made_up_without_a_deploy_that_ended_well(releases: VerifiedReleases) -> None:
    assert make_up(unreachable, TARGET, unknown, None) is None
    assert releases.of("2.0-abc") == ()


def test_a_store_that_does_not_answer_fails_nothing() -> None:
    assert "could not be noted: the bucket does not answer" in str(make_up(unreachable, TARGET, digest, ENTRY))
