"""A host that does not let us in is named with what lets us in."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Unseen
from fabfile.checks.login import judge
from fabfile.errors import RemoteError, TurnoutError, Unreachable
from fabfile.examination import why_not
from tests.unit.checks.seen import environment, evidence, of, well

TRUST = "inv hosts.trust --env=demo --host=h1"
UNKNOWN = Unreachable("h1", "the host key is not in hosts/known_hosts", f"compare its fingerprint, then: {TRUST}")


def test_hosts_that_let_us_in_are_well() -> None:
    assert {found.verdict for found in judge(evidence())} == {"ok"}


def test_an_unknown_key_is_critical_and_its_remedy_is_the_command_alone() -> None:
    found = of(judge, evidence(hosts={"h1": why_not(UNKNOWN), "h2": well("h2")}))
    assert (found.verdict, found.seen) == ("critical", "the host key is not in hosts/known_hosts")
    assert found.remedy
    assert (found.remedy.command, found.remedy.note) == (TRUST, "compare its fingerprint, then")


@pytest.mark.parametrize(
    "error",
    [RemoteError("h1", "ended with status 1"), TurnoutError("something else")],
)
def test_a_host_that_lets_us_in_and_then_fails_is_not_called_closed(error: TurnoutError) -> None:
    assert of(judge, evidence(hosts={"h1": why_not(error)})).verdict == "could not look"


def test_a_host_that_is_cut_off_is_told_as_such() -> None:
    found = of(judge, evidence(hosts={"h1": Unseen("cut off: there was no answer within 45 s")}))
    assert (found.verdict, found.seen) == ("could not look", "cut off: there was no answer within 45 s")


def test_this_machine_has_no_key() -> None:
    alone = environment(hosts={"h1": {"local": True}})
    assert of(judge, evidence(environment=alone, hosts={"h1": well("h1")})).seen == "this machine"
