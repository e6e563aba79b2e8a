"""What a smoke test sends, what it captures, and what it objects to, without ever showing a value that it captured."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.smoke import HttpTest
from fabfile.model.hidden import HIDDEN, Hidden
from fabfile.model.smoke import Answer, Tried
from fabfile.planning.smoke import captured, is_found, is_same, objections, request, rows_differ, summary

TOKEN = 'tok/en "1"'
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def http(**written: Any) -> HttpTest:
    return HttpTest.model_validate({"path": "/", **written})


def answer(body: object = None, status: int = 200, **headers: str) -> Answer:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Answer(status, named, json.dumps(body).encode())


def wrong(found: HttpTest, given: Answer, values: dict[str, str] | None = None, *secrets: str) -> list[str]:
    return objections(found, given, values or {}, Hidden(secrets))


def test_values_are_spelled_as_their_place_wants_it() -> None:
    made = request(
        http(
            method="POST",
            path="/items/{id}?x={{id}}",
            headers={"Authorization": "Bearer {id}"},
            body={"id": "{id}", "n": 1, "deep": ["{id}"]},
        ),
        {"id": TOKEN},
    )
    assert made.path == "/items/tok%2Fen%20%221%22?x={id}"
    assert made.headers == {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    assert made.body is not None
    assert json.loads(made.body) == {"id": TOKEN, "n": 1, "deep": [TOKEN]}


def test_text_goes_as_it_is_and_a_content_type_of_ones_own_stays() -> None:
    made = request(http(body="a={id}", headers={"content-type": "text/x"}), {"id": "1"})
    assert (made.body, dict(made.headers)) == (b"a=1", {"content-type": "text/x"})
    assert request(http(), {}).body is None
    assert request(http(body={"a": 1}, headers={"Content-type": "x/json"}), {}).headers == {"Content-type": "x/json"}


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "\0", "\u20ac"])
def test_a_value_that_would_end_a_header_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ValueError, match=r"the header X cannot hold the value of \{id\}") as caught:
        request(http(headers={"X": "{id}"}), {"id": value})
    assert value not in str(caught.value)


@given(st.text(max_size=20))
def test_a_value_in_a_pattern_stands_for_itself(value: str) -> None:
    assert is_found("^<{x}>$", f"<{value}>", {"x": value})
    assert is_found("^<{x}+>$", f"<{value}>", {"x": value}) or value == ""


def test_values_are_captured_from_json_headers_and_cookies() -> None:
    found = http(
        capture={"a": "$.user.id", "b": "header:location", "c": "cookie:sid", "d": "$.ok", "e": "$.items[1].name"}
    )
    given = Answer(
        200,
        (("Location", "/items/5"), ("Set-Cookie", "theme=dark; Path=/"), ("set-cookie", "sid=a=b; HttpOnly; Path=/")),
        json.dumps({"user": {"id": 17}, "ok": True, "items": [{"name": "x"}, {"name": "y"}]}).encode(),
    )
    assert captured(found, given) == ({"a": "17", "b": "/items/5", "c": "a=b", "d": "true", "e": "y"}, [])


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("$.a", {"a": None}),
        ("$.a", {"a": {}}),
        ("$.a", {"a": ""}),
        ("$.b", {"a": 1}),
        ("header:X", {}),
        ("cookie:s", {}),
    ],
)
def test_what_is_no_value_is_not_captured(source: str, body: object) -> None:
    assert captured(http(capture={"x": source}), answer(body)) == (
        {},
        [f"{source} holds no text or number to capture"],
    )


def test_json_that_is_none_captures_nothing() -> None:
    assert captured(http(capture={"x": "$"}), Answer(200, (), b"<html>"))[0] == {}
    assert captured(http(capture={"x": "$"}), answer("whole")) == ({"x": "whole"}, [])


def test_everything_that_was_expected_is_fine() -> None:
    found = http(
        expect={
            "status": 201,
            "headers": {"content-type": "json$", "X-Release": "^{release}$"},
            "body": "up",
            "json": [
                {"path": "$.status", "equals": "up"},
                {"path": "$.checks[*].ok", "equals": True},
                {"path": "$.none", "equals": None},
                {"path": "$.release", "equals": "{release}"},
                {"path": "$.list", "equals": [1, {"a": 2.0}]},
            ],
        }
    )
    body = {"status": "up", "checks": [{"ok": True}] * 2, "none": None, "release": "1.0", "list": [1, {"a": 2}]}
    assert wrong(found, answer(body, 201, Content_Type="text/json", X_Release="1.0"), {"release": "1.0"}) == []


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ({"status": 500}, ['status 200, not 500: {"a": [1, "x"], "b": true}']),
        ({"headers": {"Content-Type": "xml"}}, ["xml is not found in the header Content-Type: text/json"]),
        ({"headers": {"Location": "/"}}, ["there is no header Location"]),
        ({"headers": {"Set-Cookie": "^b="}}, ["^b= is not found in the header Set-Cookie"]),
        ({"body": "c"}, ["c is not found in the body"]),
        ({"json": [{"path": "$.c", "equals": 1}]}, ["$.c leads to nothing"]),
        ({"json": [{"path": "$.a[*]", "equals": 1}]}, ['$.a[*] is "x", not 1']),
        ({"json": [{"path": "$.b", "equals": 1}]}, ["$.b is true, not 1"]),
        ({"json": [{"path": "$.a", "equals": ["{release}"]}]}, ['$.a is another value, not ["{release}"]']),
        ({"body": "c", "json": [{"path": "$.c", "equals": 1}]}, ["c is not found in the body", "$.c leads to nothing"]),
    ],
)
def test_what_is_wrong_is_told_in_full(expect: dict[str, Any], told: list[str]) -> None:
    given = answer({"a": [1, "x"], "b": True}, Content_Type="text/json", Set_Cookie="s3cret=1")
    assert wrong(http(expect=expect), given, {"release": "x"}) == told


def test_an_answer_that_is_not_json_or_cut_is_told() -> None:
    found = http(expect={"json": [{"path": "$.a", "equals": 1}]})
    assert wrong(found, Answer(200, (), b"<html>")) == ["the body is not JSON"]
    assert wrong(found, Answer(200, (), b"[" * 50_000)) == ["the body is not JSON"]
    cut = Answer(200, (), b"1" * (4 << 20), whole=False)
    assert wrong(found, cut) == ["the body is longer than 4 MiB, and is not read as JSON"]


def test_no_captured_value_is_shown() -> None:
    expect = {"headers": {"X": "nothing"}, "json": [{"path": "$.t", "equals": "y"}, {"path": "$.n", "equals": 8}]}
    given = answer({"t": TOKEN, "n": "7"}, X=f"is {TOKEN}")
    told = wrong(http(expect=expect), given, {"x": TOKEN}, TOKEN, "7")
    assert told == [
        f"nothing is not found in the header X: is {HIDDEN}",
        f'$.t is {HIDDEN}, not "y"',
        f"$.n is {HIDDEN}, not 8",
    ]
    given = answer({"token": "not yet captured"}, 500)
    assert wrong(http(capture={"token": "$.token"}), given) == ["status 500, not 200"]


@given(JSON, JSON)
def test_json_is_equal_as_javascript_would_have_it(one: Any, other: Any) -> None:
    assert is_same(one, one)
    assert is_same(one, other) == is_same(other, one)
    if is_same(one, other):
        assert one == other
        assert str(one).count("True") == str(other).count("True")


@given(st.lists(st.lists(st.none() | st.booleans() | st.integers() | st.text(), max_size=3), max_size=4))
def test_rows_that_are_the_same_do_not_differ(rows: list[list[object]]) -> None:
    assert rows_differ(rows, [tuple(row) for row in rows]) == ""
    assert rows_differ(rows, [*rows, ["one more"]]) != ""


@pytest.mark.parametrize(
    ("expected", "found", "told"),
    [
        ([[1.5]], [(Decimal("1.50"),)], ""),
        ([[2]], [(2.0,)], ""),
        ([["1"]], [(1,)], ""),
        ([[1]], [("1",)], "row 1 is (1), not (1)"),
        ([[1]], [(float("nan"),)], "row 1 is (nan), not (1)"),
        ([[True]], [(1,)], "row 1 is (1), not (True)"),
        ([[None, "a"]], [(None, "b")], "row 1 is (null, b), not (null, a)"),
        ([[1], [2]], [(1,), (2, 3)], "row 2 is (2, 3), not (2)"),
        ([], [(1,)], "1 row, not 0"),
    ],
)
def test_rows_are_compared_by_value(expected: list[list[object]], found: list[tuple[object]], told: str) -> None:
    assert rows_differ(expected, found) == told


def test_all_verdicts_make_one_sentence() -> None:
    good = Tried("a", "http", "h1", "passed", 0.1, 1)
    bad = Tried("b", "http", "h2", "failed", 0.1, 3, "status 500")
    left = Tried("c", "http", "h2", "skipped", 0.0, 0, "not run")
    assert summary([good]) == "1 smoke test passed"
    assert summary([good, good]) == "2 smoke tests passed"
    assert summary([good, bad, left]) == "1 of 3 smoke tests failed, 1 not run: b on h2"
