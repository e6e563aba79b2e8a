"""Pages of strangers, and what an answer lets them do."""

from __future__ import annotations

import pytest

from fabfile.checks.cors import judge
from fabfile.commands.facts import STRANGER
from fabfile.model.host_facts import Answer
from tests.unit.checks.seen import facing, of

ALLOW, CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, "ok"),
        ({ALLOW: "*"}, "ok"),
        ({ALLOW: STRANGER}, "ok"),
        ({ALLOW: "https://shop.example", CREDENTIALS: "true"}, "ok"),
        ({ALLOW: STRANGER, CREDENTIALS: "true"}, "critical"),
        ({ALLOW: "*", CREDENTIALS: "true"}, "warning"),
    ],
)
def test_only_a_users_cookies_are_at_stake(headers: dict[str, str], verdict: str) -> None:
    fine = Answer("/", 200, {})
    found = of(judge, facing(answers=(fine, Answer("/api/health", 200, headers))))
    assert found.verdict == verdict
    assert ("/api/health" in found.seen) is True


def test_a_site_that_does_not_answer_says_nothing() -> None:
    assert of(judge, facing(answers=(Answer("/", 0, {}),))).verdict == "could not look"
