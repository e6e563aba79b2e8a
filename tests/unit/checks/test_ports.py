"""The idle slot's port."""

from __future__ import annotations

from fabfile.checks.evidence import Sending
from fabfile.checks.ports import judge
from tests.unit.checks.seen import environment, evidence, live, of

TAKEN = {3002: "another user's program"}


def test_a_port_that_somebody_else_has_is_critical_and_the_remedy_ends_just_that() -> None:
    found = of(judge, evidence(observed={"h1": live("h1", ports=TAKEN)}))
    assert (found.verdict, found.seen) == ("critical", "port 3002 of slot green is taken by another user's program")
    assert found.remedy
    assert found.remedy.command == ("kill $(ss -Hltnp 'sport = :3002' | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u)")
    assert (found.remedy.on, found.remedy.user) == ("h1", "root")


def test_the_live_port_under_another_slots_name_is_critical() -> None:
    swapped = environment(process={"ports": {"blue": 3002, "green": 3001}})
    found = of(judge, evidence(environment=swapped))
    assert (found.verdict, found.seen) == ("critical", "port 3001 of slot green is the live slot's")


def test_a_run_that_starts_nothing_needs_none() -> None:
    given = evidence(observed={"h1": live("h1", ports=TAKEN)}, run=Sending(0, 0))
    assert list(judge(given)) == []


def test_what_is_free_or_ours_is_well() -> None:
    assert of(judge, evidence()).verdict == "ok"
