"""YAML text keeps the line of every key and entry, however it is written."""

from __future__ import annotations

import pytest

from fabfile.config.document import MAX_VALUES, Document, dotted, parse


def problems(text: str) -> list[str]:
    return [str(fault) for fault in parse(text).faults]


def lines(text: str) -> dict[str, int]:
    document = parse(text)
    assert document.data is not None, document.faults
    return {dotted(path): line for path, line in document.lines.items() if path}


def test_keys_and_entries_of_every_notation_have_their_line() -> None:
    text = """
# a comment
"quoted key": 1
'single':
  - - a
    - b
  -
    - c
  - [d,
     e]
plain: {x: 1,
  "y": [2,
   3]}
"""
    assert lines(text) == {
        "(?)": 3,
        "single": 4,
        "single[0]": 5,
        "single[0][0]": 5,
        "single[0][1]": 6,
        "single[1]": 8,
        "single[1][0]": 8,
        "single[2]": 9,
        "single[2][0]": 9,
        "single[2][1]": 10,
        "plain": 11,
        "plain.x": 11,
        "plain.y": 12,
        "plain.y[0]": 12,
        "plain.y[1]": 13,
    }


def test_a_place_that_is_not_written_has_the_line_of_the_nearest_place_above() -> None:
    document = parse("\na:\n  b: {}\n")
    assert [document.line(path) for path in [("a", "b", "c", 3), ("a", "x"), ("y",)]] == [3, 2, 2]


def test_an_alias_has_the_line_of_its_use_and_its_content_the_line_where_it_stands() -> None:
    text = "one: &one\n  a: 1\ntwo: *one\n"
    assert lines(text) == {"one": 1, "one.a": 2, "two": 3, "two.a": 2}
    assert parse(text).data == {"one": {"a": 1}, "two": {"a": 1}}


def test_own_keys_win_over_merged_ones_and_the_first_merged_wins() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\n"
    data = parse(text).data
    assert data is not None
    assert data["c"] == {"x": 1, "y": 1, "z": 3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True),
        ("no", False),
        ("'on'", "on"),
        ("12:30", 750),
        ("0o17", "0o17"),
        ("010", 8),
        ("1.10", 1.1),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("!!str 3", "3"),
        ("=", "="),
        ("0b_", "0b_"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_plain_scalars_are_read_as_yaml_says_but_dates_stay_text(text: str, value: object) -> None:
    document = parse(f"a: {text}\n")
    assert document.data == {"a": value}
    assert document.faults == ()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "1: the file is empty; start from hosts/example.yml"),
        ("# nothing\n", "1: the file is empty; start from hosts/example.yml"),
        ("\n- a\n", "2: expected keys at the top of the file, such as `app: example`"),
        ("a:\n\tb: 1\n", "2: tabs are not allowed here; indent with spaces"),
        ("a: 1\n  b: 2\n", "2: not YAML: mapping values are not allowed here"),
        ("a: [1\nb: 2\n", "2: not YAML: expected ',' or ']', but got ':'"),
        ("a: 1\n---\nb: 2\n", "2: not YAML: but found another document"),
        ("a: \x01\n", "1: there are control characters in the file; save it as plain UTF-8 text"),
        ("a: &a\n  b: *a\n", "1: nested too deeply, or an alias stands inside its own anchor"),
        ("a: " + "[" * 3000, "1: nested too deeply, or an alias stands inside its own anchor"),
        ('a: "\\UFFFFFFFF"\n', "1: a \\U escape names no Unicode character"),
        ('\na: "\\ud800"\n', "2: a: a \\u escape names half a character"),
        ("a: 1\nb:\n  a: 2\n  a: 3\n", "4: b.a: this key is already on line 3; remove one"),
        ("a:\n  no: 1\n", "2: a.no: this key reads as true or false; quote it"),
        ("a:\n  10: 1\n", "2: a.10: this key reads as a number; quote it"),
        ("a:\n  {b: c}: d\n", "2: a: a key must be text; quote values that begin with { or ["),
        ("a:\n  - !x y\n", "2: a[0]: `!` tags are not allowed; quote the value if the `!` belongs to it"),
        ("a: !!set {b}\n", "1: a: `!` tags are not allowed; quote the value if the `!` belongs to it"),
        ("a:\n  <<: 3\n", "2: a.<<: expected an alias of a mapping"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, fault: str) -> None:
    assert problems(text) == [fault.replace("a.<<", "a.(?)")]


def test_aliases_that_multiply_are_stopped() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert problems("\n".join(rows)) == [f"1: not YAML: more than {MAX_VALUES} values; aliases repeat them"]


@pytest.mark.parametrize(
    "raw", ["*{}", "!{}", "!{} x", "!{}!x y", "%{}", "@{}", "[{}", "'{}", "&{} &b x", "'a' {}", "{{{}"]
)
def test_a_password_that_breaks_the_syntax_is_not_repeated(raw: str) -> None:
    found = problems(f"password: {raw.format('hunter2')}\n")
    assert found
    assert "hunter2" not in "".join(found)


def test_documents_compare_by_value() -> None:
    assert parse("a: 1\n") == Document({"a": 1}, {(): 1, ("a",): 1}, {("a",): "1"}, ())
