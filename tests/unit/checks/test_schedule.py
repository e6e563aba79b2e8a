"""A schedule that is installed here, or elsewhere, or nowhere."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Evidence, Schedule, Unseen
from fabfile.checks.schedule import judge
from fabfile.model.finding import Remedy
from tests.unit.checks.seen import evidence, of
from tests.unit.checks.test_backups import after, taken

INSTALLED = Schedule("cron", True)
NOWHERE = Schedule("cron", False)
NO_CRON = Unseen("there is no crontab", "elsewhere", Remedy("sudo apt-get install cron"))


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
        (after(1000, taken(1), schedule=NO_CRON), "ok"),
    ],
)
def test_a_schedule_is_here_or_shows_by_what_it_has_taken(given: Evidence, verdict: str) -> None:
    found = of(judge, given, "")
    assert found.verdict == verdict
    if verdict == "warning":
        assert found.remedy
        assert found.remedy.command == "inv backup.schedule --env=demo"


def test_a_machine_that_starts_nothing_by_the_clock_is_told_so_and_what_it_lacks() -> None:
    overdue, young = of(judge, after(1000, schedule=NO_CRON), ""), of(judge, after(1, schedule=NO_CRON), "")
    assert (overdue.verdict, overdue.remedy) == ("warning", NO_CRON.remedy)
    assert young.verdict == "not applicable"
    assert overdue.seen.startswith("there is no crontab, and no backup")
    assert young.seen.startswith("there is no crontab, and none is overdue yet")


def test_a_crontab_that_nobody_reads_takes_no_backups() -> None:
    found = of(judge, after(1000, schedule=Schedule("cron", True, warnings=("no cron daemon runs here",))), "")
    assert (found.verdict, found.seen) == ("warning", "installed on this machine (cron), but no cron daemon runs here")
    assert found.remedy
    assert found.remedy.command == "sudo service cron start"


def test_an_environment_without_backups_needs_none() -> None:
    assert of(judge, evidence(), "").verdict == "not applicable"
