"""A vault comes back as it was, keeps its dates, and says what is wrong with it without a word of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from fabfile.model.vault import Entry, Vault, parse_lines, unfit

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\n\r\0", codec="utf-8"), min_size=1, max_size=40)
SECRETS = st.dictionaries(NAMES, VALUES.map(SecretStr), max_size=6)
VAULTS = st.builds(
    Vault,
    st.dictionaries(NAMES, st.builds(Entry, VALUES.map(SecretStr), st.dates().map(str)), max_size=6),
    st.lists(st.text(max_size=20).filter(lambda text: text.isprintable()), max_size=3).map(tuple),
)


@given(VAULTS)
def test_a_vault_comes_back_from_its_text(vault: Vault) -> None:
    assert Vault.from_text(vault.to_text()) == vault


@given(VAULTS)
def test_what_people_edit_comes_back_however_odd_the_values_are(vault: Vault) -> None:
    text = f"# a remark\n\n{vault.lines()}"
    assert parse_lines(text) == {name: entry.value for name, entry in vault.entries.items()}


@given(VAULTS, SECRETS)
def test_only_what_is_new_or_another_value_is_of_today(vault: Vault, values: dict[str, SecretStr]) -> None:
    after = vault.holding({**{name: entry.value for name, entry in vault.entries.items()}, **values}, "2031-01-01")
    assert {name: entry.value for name, entry in after.entries.items()} == {
        **{name: entry.value for name, entry in vault.entries.items()},
        **values,
    }
    for name, entry in after.entries.items():
        former = vault.entries.get(name)
        same = former is not None and former.value == entry.value
        assert entry.changed == (former.changed if same and former else "2031-01-01")
    assert vault.holding({}, "2031-01-01").entries == {}


def test_nothing_of_a_value_is_in_its_representation() -> None:
    vault = Vault({"A": Entry(SecretStr("hunter2"), "2026-11-21")})
    assert "hunter2" not in f"{vault!r} {vault}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hunter2", "it holds no vault"),
        ("[]", "it holds something else than a vault"),
        ('{"format": 1}', "it holds something else than a vault"),
        ('{"format": 1, "recipients": [], "secrets": {"A": "hunter2"}}', "it holds something else than a vault"),
        (
            '{"format": 1, "recipients": [], "secrets": {"A": {"value": "hunter2", "changed": "hunter2"}}}',
            "a date in it is none",
        ),
        (json.dumps({"format": 2, "recipients": [], "secrets": {}}), "it was made by a newer version"),
    ],
)
def test_a_text_that_is_no_vault_is_refused_without_repeating_it(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}$"):
        Vault.from_text(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A=1\nhunter2\n", "line 2 is not NAME=value"),
        ("2A=hunter2", "line 1 is not NAME=value"),
        ("A = hunter2", "line 1 is not NAME=value"),
        ("A=hunter2\n\nA=hunter3\n", "line 3: A is there twice"),
        ("A=", "line 1: A is empty"),
        ("A=hunter2\0", "line 1: A has a line break or NUL in it; keep the base64 of it"),
    ],
)
def test_a_line_that_cannot_be_used_is_named_by_its_number(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}$") as refused:
        parse_lines(text)
    assert "hunter" not in str(refused.value)


def test_an_editors_line_ends_are_no_part_of_a_value() -> None:
    assert parse_lines("A=1\r\nB= 2 \r\n") == {"A": SecretStr("1"), "B": SecretStr(" 2 ")}


@pytest.mark.parametrize(("value", "fit"), [("a", True), (" #\"'", True), ("", False), ("a\nb", False), ("a\r", False)])
def test_a_value_is_one_line(value: str, fit: bool) -> None:
    assert (unfit(value) == "") is fit
