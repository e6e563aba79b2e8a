"""Every check is listed, and each says something of an environment on which all is well."""

from __future__ import annotations

from pathlib import Path

from fabfile.checks import listing
from fabfile.checks.evidence import Unseen
from fabfile.checks.listing import BEFORE_A_RUN, CHECKS
from fabfile.doctor import judged
from fabfile.model.finding import GREEN, Remedy
from tests.unit.checks.seen import environment, evidence

NOT_CHECKS = {"__init__", "evidence", "listing", "preflight"}


def test_each_file_of_a_check_is_listed_once() -> None:
    files = {path.stem for path in Path(listing.__file__).parent.glob("*.py")} - NOT_CHECKS
    judges = [judge.__module__.rpartition(".")[2] for judge in CHECKS.values()]
    assert sorted(judges) == sorted(files)
    assert BEFORE_A_RUN.items() <= CHECKS.items()


def test_where_all_is_well_every_check_is_green() -> None:
    found = judged(evidence())
    assert [one for findings in found.values() for one in findings if one.verdict not in GREEN] == []
    assert all(findings for findings in found.values())


def test_a_check_that_breaks_keeps_no_other_from_its_word() -> None:
    broken = judged(evidence(hosts=None))
    assert broken["login"][0].verdict == "could not look"
    assert broken["login"][0].seen.startswith("internal error: ")
    assert broken["unfinished"][0].verdict == "ok"


def test_every_remedy_is_for_the_environment_that_was_looked_at() -> None:
    elsewhere = Unseen("the vault has no KEY", "elsewhere", Remedy("inv secrets.set KEY"))
    found = judged(evidence(environment=environment(secrets={"KEY": "env:KEY"}), custody=elsewhere))["secrets"]
    assert [one.remedy for one in found] == [Remedy("inv secrets.set KEY --env=demo")]
