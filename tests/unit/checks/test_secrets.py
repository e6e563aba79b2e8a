"""Secrets that are due to be changed, or are another environment's, and where each gets its new value."""

from __future__ import annotations

from datetime import date

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.checks.secrets import judge
from fabfile.config.separation import Comparison
from fabfile.planning.custody import Item
from tests.unit.checks.seen import environment, evidence, of

OLD = Item("OLD", "age:OLD", date(2025, 1, 1), date(2025, 4, 1), "due")
YOUNG = Item("YOUNG", "env:YOUNG", date(2026, 2, 1), date(2026, 5, 2), "fresh")
UNKNOWN = Item("MUTE", "env:MUTE", None, None, "unknown")


def holding(*items: Item, compared: Comparison | None = None) -> Evidence:
    secrets = {item.name: item.source for item in items}
    vault = {"file": "x.age", "recipients": ["age10gwjpek2juqsy3avfguvev8dd8y72fernqxnxjuwn2wgtw4rd9msymtedj"]}
    settings = environment(secrets=secrets, vault=vault)
    return evidence(environment=settings, custody=(items, compared))


def test_one_that_is_due_is_changed_in_the_vault_by_a_command() -> None:
    found = of(judge, holding(OLD, YOUNG), "secrets.OLD")
    assert found.verdict == "warning"
    assert "2025-04-01" in found.seen
    assert found.remedy
    assert found.remedy.command.startswith("inv secrets.set OLD --env=")


def test_one_that_another_environment_has_is_critical_and_changed_where_it_is_kept() -> None:
    shared = Comparison("staging", (("YOUNG", "TOKEN"),), {})
    found = of(judge, holding(YOUNG, compared=shared), "secrets.YOUNG")
    assert (found.verdict, found.seen) == ("critical", "is staging's TOKEN, too")
    assert found.remedy
    assert "env:YOUNG" in found.remedy.note


def test_when_all_is_well_it_says_what_was_compared_and_what_nobody_can_tell() -> None:
    found = of(judge, holding(YOUNG, UNKNOWN, compared=Comparison("staging", (), {})), "")
    assert found.verdict == "ok"
    assert "none of them staging's" in found.seen
    assert "MUTE" in found.seen


def test_what_could_not_be_compared_is_not_said_to_be_apart() -> None:
    partly = Comparison("staging", (), {"TOKEN": "the environment variable TOKEN is not set"})
    assert "staging" not in of(judge, holding(YOUNG, compared=partly), "").seen


def test_an_environment_without_secrets_has_nothing_to_look_at() -> None:
    assert of(judge, evidence(), "").verdict == "not applicable"


def test_values_that_cannot_be_read_are_no_verdict() -> None:
    given = evidence(environment=environment(secrets={"KEY": "env:KEY"}), custody=Unseen("env:KEY is not set"))
    assert of(judge, given, "").verdict == "could not look"
