"""Lines of a dotenv file: quotes, escapes, remarks, and mistakes by their line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.dotenv import parse


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A=b # remark", "b"),
        ("A=b#c", "b#c"),
        ("A=# remark", ""),
        ("A=", ""),
        ("A='b # c'", "b # c"),
        ("A=' b ' # remark", " b "),
        (r"A='\n'", r"\n"),
        (r'A="b\n\"c\\"', 'b\n"c\\'),
        ('A="$HOME"', "$HOME"),
        ("A=b=c==", "b=c=="),
        ("A=b'c", "b'c"),
        ("A=b\r", "b"),
    ],
)
def test_a_line_has_this_value(line: str, value: str) -> None:
    assert parse(f"# a remark\n\n{line}\nB=x\n") == {"A": value, "B": "x"}


def test_the_last_of_two_counts() -> None:
    assert parse("A=1\nA=2") == {"A": "2"}


@pytest.mark.parametrize(
    "line", ["hunter2", "A='hunter2", 'A="hunter2', "A='hunter2' x", 'A="hunter2\\"', "2A=hunter2"]
)
def test_a_mistake_is_told_by_its_line_alone(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 2") as refused:
        parse(f"B=1\n{line}\n")
    assert "hunter2" not in str(refused.value)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), max_size=40))
def test_every_value_can_be_written_between_double_quotes(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'A="{escaped}"') == {"A": value}
