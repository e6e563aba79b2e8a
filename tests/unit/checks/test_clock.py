"""Clocks: only what is certain counts, and where all hosts agree against us it is we who are wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.checks.clock import OURS, certain, judge
from tests.unit.checks.seen import evidence, of, well


@pytest.mark.parametrize(
    ("offset", "verdict"),
    [
        ((-0.5, 0.5), "ok"),
        ((4.0, 9.0), "ok"),
        ((5.0, 6.0), "warning"),
        ((-8.0, -6.0), "warning"),
        ((-601.0, -600.0), "critical"),
    ],
)
def test_a_clock_is_away_by_what_is_certain(offset: tuple[float, float], verdict: str) -> None:
    found = of(judge, evidence(hosts={"h1": well("h1", offset=offset), "h2": well("h2")}))
    assert found.verdict == verdict
    if verdict != "ok":
        assert found.remedy
        assert (found.remedy.command, found.remedy.on, found.remedy.user) == ("timedatectl set-ntp true", "h1", "root")


def test_hosts_that_agree_against_us_are_right() -> None:
    both = {name: well(name, offset=(118.0, 121.0)) for name in ("h1", "h2")}
    (found,) = judge(evidence(hosts=both))
    assert (found.where, found.verdict) == (OURS, "critical")
    assert "this machine's is 118 s behind theirs" in found.seen
    assert found.remedy
    assert found.remedy.on == ""


def test_hosts_that_disagree_with_each_other_too_are_each_named() -> None:
    both = {"h1": well("h1", offset=(20.0, 21.0)), "h2": well("h2", offset=(-31.0, -30.0))}
    assert [(found.where, found.verdict) for found in judge(evidence(hosts=both))] == [
        ("h1", "warning"),
        ("h2", "warning"),
    ]


def test_one_host_alone_is_never_taken_for_the_truth() -> None:
    (found,) = judge(evidence(hosts={"h1": well("h1", offset=(20.0, 21.0))}))
    assert found.where == "h1"


@given(st.floats(-1000, 1000), st.floats(0, 100))
def test_a_clock_that_may_agree_is_not_accused(least: float, width: float) -> None:
    found = certain((least, least + width))
    assert (found == 0) == (least <= 0 <= least + width)
    assert abs(found) <= min(abs(least), abs(least + width))
