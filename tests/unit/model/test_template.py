"""Names in braces: which there are, and what stands in their place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.template import filled, filled_within, names, texts_within

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}"), max_size=12)


@pytest.mark.parametrize(
    ("text", "found", "result"),
    [
        ("Bearer {token}", {"token"}, "Bearer <token>"),
        ("{a}{b_2}", {"a", "b_2"}, "<a><b_2>"),
        ('{"user": "{name}"}', {"name"}, '{"user": "<name>"}'),
        ("{{token}} is {token}", {"token"}, "{token} is <token>"),
        ("[0-9]{3} {2,5} { a } {} {1a}", set(), "[0-9]{3} {2,5} { a } {} {1a}"),
        ("{{{x}}}", set(), "{{x}}"),
    ],
)
def test_a_name_in_braces_is_filled_and_all_else_stays(text: str, found: set[str], result: str) -> None:
    assert names(text) == found
    assert filled(text, {name: f"<{name}>" for name in found}) == result


@given(st.lists(st.tuples(PLAIN, NAMES), max_size=6), PLAIN, st.data())
def test_what_is_filled_in_is_not_filled_again(parts: list[tuple[str, str]], tail: str, data: st.DataObject) -> None:
    values = {name: data.draw(st.text(max_size=12)) for _, name in parts}
    text = "".join(f"{plain}{{{name}}}" for plain, name in parts) + tail
    assert names(text) == set(values)
    assert filled(text, values) == "".join(plain + values[name] for plain, name in parts) + tail


@given(PLAIN, NAMES)
def test_doubled_braces_stand_for_the_word_itself(plain: str, name: str) -> None:
    assert filled(f"{plain}{{{{{name}}}}}", {}) == f"{plain}{{{name}}}"


def test_json_is_filled_in_its_texts_alone() -> None:
    document = {"a": "{x}", "{x}": [1, True, None, "{x}!"], "b": {"c": "d"}}
    assert filled_within(document, {"x": '"'}) == {"a": '"', "{x}": [1, True, None, '"!'], "b": {"c": "d"}}
    assert list(texts_within(document)) == [(("a",), "{x}"), (("{x}", 3), "{x}!"), (("b", "c"), "d")]


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        filled("{token}", {})
