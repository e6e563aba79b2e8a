"""Migrations of the live release that the database has not had."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.checks.migrations import judge
from tests.unit.checks.seen import DATABASE, environment, evidence, of

MIGRATED = environment(database=DATABASE, migrations={"folder": "migrations"})


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (evidence(environment=MIGRATED, pending=frozenset()), "ok"),
        (evidence(environment=MIGRATED, pending=frozenset({(12, "b"), (3, "a")})), "warning"),
        (evidence(environment=MIGRATED, pending=Unseen("no answer")), "could not look"),
        (evidence(environment=MIGRATED, pending=frozenset(), observed={"h1": Unseen("gone")}), "could not look"),
        (evidence(), "not applicable"),
    ],
)
def test_a_migration_that_the_database_has_not_had_is_pending(given: Evidence, verdict: str) -> None:
    found = of(judge, given, "")
    assert found.verdict == verdict
    if verdict == "warning":
        assert found.seen.endswith(": 3, 12")
