"""What is said when a program fails."""

from __future__ import annotations

import pytest

from fabfile.errors import TurnoutError
from fabfile.lab.processes import run


def test_output_comes_back_stripped() -> None:
    assert run("cat", text="a line\n") == "a line"


def test_a_failure_carries_status_and_last_words() -> None:
    with pytest.raises(TurnoutError, match="exit 3") as failure:
        run("sh", "-c", "echo no such luck >&2; exit 3")
    assert failure.value.details == ("no such luck",)


def test_an_unchecked_failure_is_no_failure() -> None:
    assert run("sh", "-c", "echo half; exit 3", check=False) == "half"


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(TurnoutError, match="no-such-program"):
        run("no-such-program")


def test_a_program_that_hangs_is_given_up() -> None:
    with pytest.raises(TurnoutError, match="not done"):
        run("sleep", "30", timeout=0.1)
