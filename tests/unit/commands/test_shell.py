"""Values reach bash exactly as they are, whatever they contain."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.commands.shell import PREAMBLE, bind, words

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


def bash(program: str) -> bytes:
    return subprocess.run(["bash", "-c", program], check=True, capture_output=True).stdout


@given(value=TEXT, several=st.lists(TEXT, max_size=4))
def test_a_bound_value_arrives_unchanged_and_runs_nothing(value: str, several: list[str]) -> None:
    out = bash(bind(r"""printf '%s\0' "$value" "${several[@]}" """, value=value, several=several))
    assert out.decode().split("\0")[:-1] == [value, *several]


@given(parts=st.lists(TEXT, min_size=1, max_size=4))
def test_words_are_words(parts: list[str]) -> None:
    out = bash(words("printf", r"%s\0", *parts))
    assert out.decode().split("\0")[:-1] == parts


def test_a_failing_command_ends_the_program() -> None:
    result = subprocess.run(["bash", "-c", PREAMBLE + bind("false | true\necho reached")], capture_output=True)
    assert result.returncode == 1
    assert result.stdout == b""


def test_nul_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        bind("echo", value="a\0b")


def test_a_name_that_is_no_variable_is_refused() -> None:
    with pytest.raises(ValueError, match="no variable name"):
        bind("echo", **{"a;rm": "x"})
