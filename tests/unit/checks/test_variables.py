"""Values that lack, and how a person gives them without showing them."""

from __future__ import annotations

from fabfile.checks.evidence import Unseen
from fabfile.checks.variables import judge
from fabfile.config.required import IDENTITY, Unreadable
from tests.unit.checks.seen import environment, evidence, of


def test_a_variable_is_typed_where_nobody_sees_it() -> None:
    lacking = Unreadable("secrets.KEY", "env:SESSION_KEY", "the environment variable SESSION_KEY is not set", "")
    found = of(judge, evidence(unreadable=(lacking,)), "secrets.KEY")
    assert found.verdict == "critical"
    assert found.remedy
    assert found.remedy.command == "read -rs SESSION_KEY && export SESSION_KEY"


def test_a_file_is_mended_as_its_error_says() -> None:
    fact = "the file hosts/key is open to other users"
    mode = Unreadable("secrets.KEY", "file:hosts/key", fact, "chmod 600 hosts/key")
    found = of(judge, evidence(unreadable=(mode,)), "secrets.KEY")
    assert found.remedy
    assert found.remedy.command == "chmod 600 hosts/key"


def test_what_only_a_restore_needs_is_no_more_than_a_warning() -> None:
    lacking = Unreadable(IDENTITY, "env:IDENTITY", "the environment variable IDENTITY is not set", "")
    assert of(judge, evidence(unreadable=(lacking,)), IDENTITY).verdict == "warning"


def test_all_of_them_are_counted_when_they_are_there() -> None:
    given = evidence(environment=environment(secrets={"KEY": "env:KEY", "OTHER": "file:other"}))
    assert of(judge, given, "").seen == "2 values, each where the environment's file says"


def test_a_place_that_does_not_answer_in_time_is_no_value_that_lacks() -> None:
    found = of(judge, evidence(unreadable=Unseen("cut off: there was no answer within 45 s")), "")
    assert (found.verdict, found.seen) == ("could not look", "cut off: there was no answer within 45 s")
