"""When a secret is due to be changed, and what a deploy with another environment's secret is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.custody import CustodySettings
from fabfile.config.separation import Comparison
from fabfile.planning.custody import Item, inventory, refusal

TODAY = date(2026, 11, 21)
CUSTODY = CustodySettings.model_validate({"lasting": ["SLOW"], "changed": {"WRITTEN": "2026-08-01"}})


def told(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "days", "state", "left"),
    [
        ("A", 89, "fresh", 1),
        ("A", 90, "due", 0),
        ("A", 400, "due", -310),
        ("SLOW", 179, "fresh", 1),
        ("SLOW", 180, "due", 0),
    ],
)
def test_a_secret_is_due_after_90_days_and_a_lasting_one_after_180(name: str, days: int, state: str, left: int) -> None:
    since = TODAY - timedelta(days=days)
    [item] = inventory({name: "age:X"}, {name: told(since)}, CUSTODY, TODAY)
    assert (item.changed, item.due, item.state) == (since, TODAY + timedelta(days=left), state)


def test_what_people_wrote_down_goes_before_what_a_source_tells() -> None:
    [item] = inventory({"WRITTEN": "file:x"}, {"WRITTEN": told(TODAY)}, CUSTODY, TODAY)
    assert item == Item("WRITTEN", "file:x", date(2026, 8, 1), date(2026, 10, 30), "due")


def test_what_nobody_knows_the_age_of_is_said_to_be_unknown() -> None:
    assert inventory({"B": "env:B", "A": "env:A"}, {}, CUSTODY, TODAY) == (
        Item("B", "env:B", None, None, "unknown"),
        Item("A", "env:A", None, None, "unknown"),
    )


@given(st.integers(1, 1000), st.integers(0, 3000))
def test_due_is_exactly_as_many_days_later_as_it_may_get_old(limit: int, age: int) -> None:
    custody = CustodySettings.model_validate({"rotate": f"{limit}d"})
    [item] = inventory({"A": "age:A"}, {"A": told(TODAY - timedelta(days=age))}, custody, TODAY)
    assert item.due == TODAY + timedelta(days=limit - age)
    assert (item.state == "due") is (age >= limit)


def test_a_shared_secret_is_refused_by_name() -> None:
    refused = refusal("live", Comparison("staging", (("A", "A"), ("B", "C")), {}))
    assert refused is not None
    assert refused.code == 5
    assert refused.fact == "live has secrets of staging: A, B (C there)"
    assert refusal("live", Comparison("staging", (), {"A": "unknown"})) is None
