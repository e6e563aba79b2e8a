"""Archiving, where there is any."""

from __future__ import annotations

import pytest

from fabfile.checks.archiving import judge
from fabfile.checks.evidence import Evidence, Unseen
from tests.unit.checks.seen import BACKUP, DATABASE, environment, evidence, of

ARCHIVED = environment(
    database={**DATABASE, "engine": "pgbackrest", "repository": {"passphrase": "env:PASSPHRASE"}}, backup=BACKUP
)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (evidence(environment=ARCHIVED, archiving=None), "ok"),
        (evidence(environment=ARCHIVED, archiving="nothing was archived for 2 h"), "critical"),
        (evidence(environment=ARCHIVED, archiving=Unseen("no answer")), "could not look"),
        (evidence(environment=ARCHIVED, archiving=Unseen("h1: no connection", "elsewhere")), "could not look"),
        (evidence(environment=ARCHIVED, archiving=Unseen("pgbackrest: not found", "failed")), "critical"),
    ],
)
def test_what_postgresql_says_of_its_archiver_counts(given: Evidence, verdict: str) -> None:
    assert of(judge, given).verdict == verdict


def test_dumps_archive_nothing() -> None:
    dumped = environment(database=DATABASE)
    assert of(judge, evidence(environment=dumped, archiving=None), "").verdict == "not applicable"
