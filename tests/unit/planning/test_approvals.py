"""Whose approval counts, for what, and for how long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.approval import Kind, Signed, Signer, Statement
from fabfile.planning.approvals import Subject, agreement, waiting

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SUBJECT = Subject("shop", "production", "1.0-abc", "a" * 64)
ANN, BOB, EVE = (Signer(name, f"SHA256:{name}") for name in ("ann", "bob", "eve"))


def signed(by: Signer, kind: Kind = "approval", hours: float = -1, lasts: float = 24, **changes: Any) -> Signed:
    at = NOW + timedelta(hours=hours)
    until = at + timedelta(hours=lasts)
    statement = Statement(
        kind, "shop", "production", "1.0-abc", "a" * 64, at.isoformat(timespec="seconds"), until.isoformat()
    )
    return Signed(replace(statement, **changes), by)


def missing(*found: Signed, required: int = 1, deployer: Signer = ANN) -> int:
    return agreement(found, SUBJECT, deployer, required, DAY, NOW).missing


def test_somebody_elses_approval_lets_a_deploy_begin() -> None:
    found = agreement([signed(BOB)], SUBJECT, ANN, 1, DAY, NOW)
    assert (found.names, found.ignored, found.missing) == (("bob",), (), 0)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (signed(ANN), "ann: is who deploys it"),
        (signed(replace(ANN, name="ann2")), "ann2: is who deploys it"),
        (signed(replace(ANN, key="SHA256:other")), "ann: is who deploys it"),
        (signed(BOB, digest="b" * 64), "bob: approved another archive, application or environment"),
        (signed(BOB, environment="staging"), "bob: approved another archive, application or environment"),
        (signed(BOB, app="other"), "bob: approved another archive, application or environment"),
        (signed(BOB, release="1.1-abc"), "bob: approved another archive, application or environment"),
        (signed(BOB, hours=-24), "bob: approved it until 2026-11-21T20:00:00+00:00"),
        (signed(BOB, hours=-24, lasts=9999), "bob: approved it until 2026-11-21T20:00:00+00:00"),
        (signed(BOB, hours=0.1), "bob: approved in the future, 2026-11-21T20:06:00+00:00"),
    ],
)
def test_what_counts_for_nothing_is_told_with_its_reason(found: Signed, why: str) -> None:
    result = agreement([found], SUBJECT, ANN, 1, DAY, NOW)
    assert (result.names, result.ignored, result.missing) == ((), (why,), 1)


def test_a_request_is_no_approval() -> None:
    assert missing(signed(BOB, "request")) == 1


def test_a_clock_that_is_a_little_ahead_does_no_harm() -> None:
    assert missing(signed(BOB, hours=4 / 60)) == 0


def test_one_person_counts_once_and_so_does_one_key() -> None:
    twice = signed(replace(BOB, key="SHA256:second"))
    alias = signed(replace(BOB, name="robert"))
    assert missing(signed(BOB), signed(BOB), twice, alias, required=2) == 1
    assert missing(signed(BOB), twice, alias, signed(EVE), required=2) == 0


people = st.sampled_from([ANN, BOB, EVE])


@given(
    st.lists(st.builds(signed, people, st.sampled_from(["request", "approval"]), st.floats(-48, 1))),
    people,
    st.integers(0, 3),
)
def test_nobody_approves_their_own_run(found: list[Signed], deployer: Signer, required: int) -> None:
    result = agreement(found, SUBJECT, deployer, required, DAY, NOW)
    assert deployer.name not in result.names
    assert len(result.names) + result.missing >= required
    assert result.names == agreement(reversed(found), SUBJECT, deployer, required, DAY, NOW).names
    assert missing(*(one for one in found if one.signer == deployer), required=required, deployer=deployer) == required


def test_what_waits_is_the_newest_request_of_each_person_for_a_week() -> None:
    found = [
        signed(ANN, "request", hours=-3),
        signed(ANN, "request", hours=-2),
        signed(BOB, "request", hours=-1),
        signed(BOB, "approval"),
        signed(EVE, "request", hours=-24 * 7),
        signed(EVE, "request", environment="staging"),
        signed(EVE, "request", hours=2),
    ]
    asked = waiting(found, "shop", "production", NOW)
    assert [(one.signer.name, one.statement.at[11:16]) for one in asked] == [("bob", "19:00"), ("ann", "18:00")]


def test_a_statement_is_read_back_as_it_was_signed_and_nothing_else_is_one() -> None:
    statement = signed(BOB).statement
    text = statement.to_text()
    assert Statement.from_text(text) == statement
    for broken in (
        "",
        "[]",
        "{}",
        text.replace("approval", "consent"),
        text.replace('"shop"', "3"),
        text.replace("aaaa", "AAAA"),
        text.replace("{", '{"more": "x", '),
        text.replace("2026-", ""),
        text.replace("+00:00", ""),
    ):
        with pytest.raises(ValueError):
            Statement.from_text(broken)
