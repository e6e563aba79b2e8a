"""How traffic moves, from the command line's words."""

from __future__ import annotations

import pytest

from fabfile.errors import BadInput
from fabfile.model.plan import Rollout
from fabfile.planning.rollout import parse_rollout


def test_shares_end_at_all_or_are_held() -> None:
    assert parse_rollout("10,50,100", None, 120, 0, 3) == Rollout((10, 50), 120, 0)
    assert parse_rollout("10", None, 120, 0, 3) == Rollout((10,), 120, 0, hold=True)
    assert parse_rollout(None, None, 120, 300, 3) == Rollout((), 120, 300)


@pytest.mark.parametrize(("text", "hosts", "at_a_time"), [("1", 8, 1), ("25%", 8, 2), ("25%", 3, 1), ("100%", 3, 3)])
def test_serial_is_a_number_or_a_percentage_of_the_hosts(text: str, hosts: int, at_a_time: int) -> None:
    assert parse_rollout(None, text, 120, 0, hosts).serial == at_a_time


@pytest.mark.parametrize("canary", ["0,100", "50,10", "10,10", "ten", "101", "10,,50"])
def test_shares_that_make_no_sense_are_named(canary: str) -> None:
    with pytest.raises(BadInput, match="--canary="):
        parse_rollout(canary, None, 120, 0, 3)


@pytest.mark.parametrize("serial", ["0", "200%", "-1", "x", "1.5"])
def test_a_serial_that_makes_no_sense_is_named(serial: str) -> None:
    with pytest.raises(BadInput, match="--serial="):
        parse_rollout(None, serial, 120, 0, 3)


def test_a_canary_that_is_held_moves_nothing_afterwards() -> None:
    with pytest.raises(BadInput, match="ends before 100"):
        parse_rollout("10", "1", 120, 0, 3)
