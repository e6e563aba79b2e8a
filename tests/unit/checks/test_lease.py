"""A host that nobody works on is held by nobody."""

from __future__ import annotations

import pytest

from fabfile.checks.lease import judge
from fabfile.model.observed import Lease
from tests.unit.checks.seen import evidence, live, of


@pytest.mark.parametrize(
    ("lease", "verdict"),
    [
        (None, "ok"),
        (Lease("r1", "ann@laptop", "deploy 1.0", 3, 90), "ok"),
        (Lease("r1", "ann@laptop", "deploy 1.0", 3, 0), "warning"),
        (Lease("r1", "ann@laptop", "deploy 1.0", 3, -3600), "warning"),
        (Lease("manual-r1", "ann@laptop", "database move", 3, 3600), "warning"),
        (Lease("manual-r1", "ann@laptop", "database move", 3, -10), "ok"),
    ],
)
def test_a_dead_holder_and_a_lock_by_hand_are_worth_a_word(lease: Lease | None, verdict: str) -> None:
    found = of(judge, evidence(observed={"h1": live("h1", lease=lease)}))
    assert found.verdict == verdict
    if verdict == "warning":
        assert found.remedy
        assert found.remedy.command == "inv lock.release --env=demo"
        assert "ann@laptop" in found.seen
