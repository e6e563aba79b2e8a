"""The oldest nginx, Node and PM2 that do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.checks.versions import judge, older
from tests.unit.checks.seen import environment, evidence, facing, live, of, well


@pytest.mark.parametrize(
    ("version", "least", "expected"),
    [
        ("1.22.1", (1, 15, 3), False),
        ("1.15.3", (1, 15, 3), False),
        ("1.14.2", (1, 15, 3), True),
        ("1.9.15", (1, 15, 3), True),
        ("v15.14.0", (16,), True),
        ("16.0.0-nightly2021", (16,), False),
        ("", (16,), False),
        ("unknown", (16,), False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, least: tuple[int, ...], expected: bool) -> None:
    assert older(version, least) is expected


@given(st.lists(st.integers(0, 99), min_size=3, max_size=3), st.lists(st.integers(0, 99), min_size=3, max_size=3))
def test_of_two_versions_one_is_older_or_they_are_the_same(one: list[int], other: list[int]) -> None:
    first, second = (".".join(map(str, version)) for version in (one, other))
    assert older(first, tuple(other)) + older(second, tuple(one)) == (one != other)


def test_every_old_program_is_named_with_what_brings_a_new_one() -> None:
    given = evidence(
        hosts={"h1": well("h1", node_version="14.21.3", pm2_version="4.5.6")},
        observed={"h1": live("h1", nginx_version="1.14.2")},
    )
    found = {finding.seen: finding for finding in judge(given)}
    assert list(found) == [
        "nginx 1.14.2 is older than 1.15.3",
        "node 14.21.3 is older than 16",
        "pm2 4.5.6 is older than 5",
    ]
    assert all(finding.verdict == "critical" and finding.remedy for finding in found.values())


def test_what_is_new_enough_is_told_by_its_version() -> None:
    assert of(judge, evidence()).seen == "nginx 1.22.1, node 20.11.0, pm2 7.0.4"


def test_a_program_that_is_not_there_is_another_checks() -> None:
    assert of(judge, facing(pm2_version="")).seen == "nginx 1.22.1, node 20.11.0"


def test_a_host_is_asked_only_for_what_it_runs() -> None:
    apart = environment(hosts={"h1": {"roles": ["web"]}, "h2": {"roles": ["app"], "internal": "10.0.0.2"}})
    old = {"h1": well("h1", node_version="4.0.0"), "h2": well("h2")}
    seen = {"h1": live("h1"), "h2": replace(live("h2"), nginx_version="1.0.0")}
    assert [found.verdict for found in judge(evidence(environment=apart, hosts=old, observed=seen))] == ["ok", "ok"]
