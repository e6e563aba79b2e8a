"""A schedule that is installed here, or elsewhere, or nowhere."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Evidence, Schedule, Unseen
from fabfile.checks.schedule import judge
from tests.unit.checks.seen import evidence, of
from tests.unit.checks.test_backups import after, taken

INSTALLED = Schedule("cron", True)
NOWHERE = Schedule("cron", False)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (after(1000, schedule=INSTALLED), "ok"),
        (after(1000, schedule=Schedule("cron", True, ("-old", "+new"))), "warning"),
        (after(1000, schedule=NOWHERE), "warning"),
        (after(1000, taken(11), schedule=NOWHERE), "ok"),
        (after(1000, taken(11, reason="by hand"), schedule=NOWHERE), "warning"),
        (after(1000, taken(13), schedule=NOWHERE), "warning"),
        (after(1000, taken(-24), schedule=NOWHERE), "warning"),
        (after(1, schedule=NOWHERE), "not applicable"),
        (after(1000, taken(1), schedule=Unseen("nothing starts jobs here", "elsewhere")), "ok"),
        (after(1000, schedule=Unseen("nothing starts jobs here", "elsewhere")), "warning"),
    ],
)
def test_a_schedule_is_here_or_shows_by_what_it_has_taken(given: Evidence, verdict: str) -> None:
    found = of(judge, given, "")
    assert found.verdict == verdict
    if verdict == "warning":
        assert found.remedy
        assert found.remedy.command == "inv backup.schedule --env=demo"


def test_an_environment_without_backups_needs_none() -> None:
    assert of(judge, evidence(), "").verdict == "not applicable"
