"""Archiving and migrations, each where there is any."""

from __future__ import annotations

import pytest

from fabfile.checks import migrations
from fabfile.checks.archiving import judge
from fabfile.checks.evidence import Evidence, Unseen
from tests.unit.checks.seen import BACKUP, DATABASE, environment, evidence, of

ARCHIVED = environment(
    database={**DATABASE, "engine": "pgbackrest", "repository": {"passphrase": "env:PASSPHRASE"}}, backup=BACKUP
)
MIGRATED = environment(database=DATABASE, migrations={"folder": "migrations"})


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (evidence(environment=ARCHIVED, archiving=None), "ok"),
        (evidence(environment=ARCHIVED, archiving="nothing was archived for 2 h"), "critical"),
        (evidence(environment=ARCHIVED, archiving=Unseen("no answer")), "could not look"),
    ],
)
def test_what_postgresql_says_of_its_archiver_counts(given: Evidence, verdict: str) -> None:
    assert of(judge, given).verdict == verdict


def test_dumps_archive_nothing() -> None:
    assert of(judge, evidence(environment=environment(database=DATABASE), archiving=None), "").verdict == "not applicable"


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (evidence(environment=MIGRATED, pending=frozenset()), "ok"),
        (evidence(environment=MIGRATED, pending=frozenset({(12, "b"), (3, "a")})), "warning"),
        (evidence(environment=MIGRATED, pending=Unseen("no answer")), "could not look"),
        (evidence(), "not applicable"),
    ],
)
def test_a_migration_that_the_database_has_not_had_is_pending(given: Evidence, verdict: str) -> None:
    found = of(migrations.judge, given, "")
    assert found.verdict == verdict
    if verdict == "warning":
        assert found.seen.endswith(": 3, 12")
