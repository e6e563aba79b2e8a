"""The ages of backups; an environment that is younger than a limit has missed nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fabfile.checks.backups import judge
from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.observed import HistoryEntry
from fabfile.model.recovery_point import RecoveryPoint, utc
from tests.unit.checks.seen import BACKUP, NOW, environment, evidence, live, of
from tests.unit.planning.test_freshness import point

STORED = environment(backup=BACKUP)
VERIFY = "inv backup.verify --backup={} --env=demo"


def taken(hours: float, number: int = 1, verified: bool = False, reason: str = "scheduled") -> RecoveryPoint:
    at = utc(NOW - timedelta(hours=hours))
    return replace(point(number, 0, verified), created_at=at, reason=reason)


def after(hours: float, *points: RecoveryPoint, **change: Any) -> Evidence:
    """So many hours after the first deploy."""
    first = HistoryEntry((NOW - timedelta(hours=hours)).isoformat(), "deploy", "1.0", "ann@laptop")
    return evidence(environment=STORED, observed={"h1": live("h1", history=(first,))}, points=points, **change)


@pytest.mark.parametrize(
    ("given", "verdict", "command"),
    [
        (after(1000, taken(1, 2), taken(20, 1, verified=True)), "ok", ""),
        (after(1000, taken(13)), "critical", "inv backup --env=demo"),
        (after(1000), "critical", "inv backup --env=demo"),
        (after(1000, taken(1)), "warning", VERIFY.format(1)),
        (after(1000, taken(1, 2), taken(31, 1, verified=True)), "warning", VERIFY.format(2)),
        (after(1000, replace(taken(1, 3), kind="database"), taken(2, 2)), "warning", VERIFY.format(2)),
        (after(1), "not applicable", ""),
        (after(11.9), "not applicable", ""),
        (after(12.1), "critical", "inv backup --env=demo"),
        (after(1, taken(0.5)), "not applicable", ""),
        (after(29, taken(0.5)), "not applicable", ""),
        (after(1, taken(13)), "critical", "inv backup --env=demo"),
    ],
)
def test_what_is_overdue_is_told_with_what_brings_it(given: Evidence, verdict: str, command: str) -> None:
    found = of(judge, given, "")
    assert found.verdict == verdict
    assert (found.remedy.command if found.remedy else "") == command


def test_a_store_that_cannot_be_read_and_none_at_all() -> None:
    assert of(judge, evidence(environment=STORED, points=Unseen("no answer")), "").verdict == "could not look"
    assert of(judge, evidence(), "").verdict == "not applicable"
