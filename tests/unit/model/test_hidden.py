"""What is hidden shows in no spelling."""

from __future__ import annotations

import json
from base64 import b64encode
from urllib.parse import quote, quote_plus

from hypothesis import assume, given
from hypothesis import strategies as st

from fabfile.model.hidden import HIDDEN, LINE, LONGEST, SHORTEST, Hidden

SECRETS = st.text(st.characters(codec="utf-8"), min_size=SHORTEST, max_size=40)


@given(SECRETS, st.text(max_size=20), st.text(max_size=20))
def test_a_value_is_found_as_it_is_and_as_json_python_and_urls_spell_it(secret: str, before: str, after: str) -> None:
    assume(secret != HIDDEN)
    hidden = Hidden([secret])
    spellings = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        repr(secret)[1:-1],
        b64encode(secret.encode()).decode(),
    }
    for spelling in spellings:
        shown = hidden.clean(f"{before}|{spelling}|{after}")
        assert HIDDEN in shown
        assert f"|{spelling}|" not in shown


@given(st.text(st.characters(codec="utf-8"), min_size=2 * SHORTEST, max_size=40), st.binary(max_size=5), st.binary())
def test_a_value_is_found_within_what_is_base64_altogether(secret: str, before: bytes, after: bytes) -> None:
    text = b64encode(before + secret.encode() + after).decode()
    assert HIDDEN in Hidden([secret]).clean(f"Authorization: Basic {text}")


def test_a_value_of_several_lines_is_found_line_by_line() -> None:
    key = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQ"
    hidden = Hidden([f"# my key\n{key}\n"])
    assert hidden.clean(f"TURNOUT_IDENTITY=# my key\n  {key}") == f"TURNOUT_IDENTITY=# my key\n  {HIDDEN}"
    assert len(key) >= LINE


def test_what_is_longer_goes_before_its_part() -> None:
    assert Hidden(["abcd", "abcdef"]).clean("abcdef abcd") == f"{HIDDEN} {HIDDEN}"


def test_a_short_value_is_hidden_where_it_is_all_there_is() -> None:
    hidden = Hidden(["7", ""])
    assert hidden.clean("7") == HIDDEN
    assert hidden.clean("17 of 70") == "17 of 70"
    assert hidden.shown("7") == HIDDEN
    assert hidden.shown({"id": 70}) == '{"id": 70}'


def test_an_excerpt_is_one_line_and_cuts_no_value_in_half() -> None:
    hidden = Hidden(["s3cret" * 10])
    text = "x" * (LONGEST - 5) + "s3cret" * 10 + "y" * 100
    shown = hidden.excerpt(text)
    assert "s3cret" not in shown
    assert len(shown) == LONGEST + 1
    assert hidden.excerpt(" a\n\n b\t ") == "a b"


def test_values_may_come_later() -> None:
    hidden = Hidden()
    assert hidden.clean("token-1") == "token-1"
    hidden.add(["token-1"])
    assert hidden.clean("token-1") == HIDDEN
