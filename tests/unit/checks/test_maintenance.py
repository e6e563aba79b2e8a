"""Users who are turned away."""

from __future__ import annotations

from fabfile.checks.maintenance import judge
from tests.unit.checks.seen import evidence, live, of


def test_maintenance_that_is_on_is_critical_and_turned_off_by_one_command() -> None:
    found = of(judge, evidence(observed={"h1": live("h1", maintenance=True), "h2": live("h2")}))
    assert found.verdict == "critical"
    assert found.remedy
    assert found.remedy.command == "inv maintenance.off --env=demo"
    assert of(judge, evidence()).verdict == "ok"
