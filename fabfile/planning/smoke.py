"""What a smoke test sends once its values are known, and what is wrong with what came back."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

from fabfile.config.smoke import CommandTest, HttpExpectation, HttpTest, SmokeSettings, SqlTest, TcpTest, WebSocketTest
from fabfile.model import json_path
from fabfile.model.hidden import LONGEST, Hidden
from fabfile.model.smoke import Answer, Moment, Request, Tried
from fabfile.model.template import filled, filled_within, names, texts_within

Test = HttpTest | WebSocketTest | TcpTest | SqlTest | CommandTest
KINDS = ("http", "websocket", "tcp", "sql", "command")
Values = Mapping[str, str]
Rows = Sequence[Sequence[object]]

UNFIT = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
"""What no header may hold."""
SECRET_HEADERS = ("set-cookie", "authorization", "proxy-authorization", "www-authenticate")
"""Whose values are not shown."""


def asked_at(smoke: SmokeSettings, moment: Moment) -> dict[str, tuple[str, Test]]:
    """The tests of that moment by name, each with its kind."""
    every = ((name, kind, test) for kind in KINDS for name, test in getattr(smoke, kind).items())
    return {name: (kind, test) for name, kind, test in every if smoke.runs(test, moment)}


def path_of(test: HttpTest | WebSocketTest, values: Values) -> str:
    """The test's path, its values escaped so that each stays one part of it."""
    return filled(test.path, values, lambda value: quote(value, safe="", errors="replace"))


def headers_of(test: HttpTest | WebSocketTest, values: Values) -> dict[str, str]:
    """The test's headers. Raises ValueError where a value does not fit into one; no message holds it."""
    found = {name: filled(text, values) for name, text in test.headers.items()}
    if unfit := [name for name, text in found.items() if UNFIT.search(text)]:
        raise ValueError(f"the header {unfit[0]} cannot hold the value of {test.headers[unfit[0]]}")
    return found


def request(test: HttpTest, values: Values) -> Request:
    """The request that a test sends. Raises ValueError as `headers_of`."""
    headers, body = headers_of(test, values), None
    if isinstance(test.body, str):
        body = filled(test.body, values).encode(errors="replace")
    elif test.body is not None:
        body = json.dumps(filled_within(test.body, values)).encode()
        if "content-type" not in {name.lower() for name in headers}:
            headers["Content-Type"] = "application/json"
    return Request(test.method, path_of(test, values), headers, body)


def is_found(pattern: str, text: str, values: Values) -> bool:
    """Whether the regular expression, in which values stand for themselves, is found in the text."""
    return re.search(filled(pattern, values, re.escape), text) is not None


def captured(test: HttpTest, answer: Answer) -> tuple[dict[str, str], list[str]]:
    """The values that a test captures of an answer, and why it cannot capture the others."""
    found, problems = {}, []
    for name, source in test.capture.items():
        value = _source(source, answer)
        if value:
            found[name] = value
        else:
            problems.append(f"{source} holds no text or number to capture")
    return found, problems


def objections(test: HttpTest, answer: Answer, values: Values, hidden: Hidden) -> list[str]:
    """What is wrong with an answer. What was filled in is not shown, nor what stands in its place."""
    expect = test.expect
    if answer.status != expect.status:
        # A body that has something to capture in it may be of no other use to whoever reads this.
        said = "" if test.capture else hidden.excerpt(_text(answer.body))
        return [f"status {answer.status}, not {expect.status}" + (f": {said}" if said else "")]
    found = [why for name, pattern in expect.headers.items() if (why := _header(name, pattern, answer, values, hidden))]
    if expect.body is not None and not is_found(expect.body, _text(answer.body), values):
        found.append(f"{expect.body} is not found in the body")
    return found + _json_objections(expect, answer, values, hidden)


def rows_differ(expected: Rows, found: Rows) -> str:
    """Why the rows that a query gave are not those that were expected, or nothing."""
    if len(expected) != len(found):
        return f"{_count(len(found))}, not {len(expected)}"
    for number, (wanted, row) in enumerate(zip(expected, found, strict=True), 1):
        if len(wanted) != len(row) or not all(map(_is_value, wanted, row)):
            return f"row {number} is {_row(row)}, not {_row(wanted)}"
    return ""


def summary(found: Sequence[Tried]) -> str:
    """All verdicts in one sentence."""
    bad = [f"{one.test} on {one.where}" for one in found if one.outcome == "failed"]
    left = sum(one.outcome == "skipped" for one in found)
    if not bad and not left:
        return f"{len(found)} smoke tests passed" if len(found) != 1 else "1 smoke test passed"
    tail = f", {left} not run" if left else ""
    return f"{len(bad)} of {len(found)} smoke tests failed{tail}: {', '.join(bad)}"


def _header(name: str, pattern: str, answer: Answer, values: Values, hidden: Hidden) -> str:
    found = answer.header(name)
    if not found:
        return f"there is no header {name}"
    if any(is_found(pattern, text, values) for text in found):
        return ""
    shown = "" if name.lower() in SECRET_HEADERS else f" {hidden.excerpt(', '.join(found))}"
    return f"{pattern} is not found in the header {name}{':' if shown else ''}{shown}"


def _json_objections(expect: HttpExpectation, answer: Answer, values: Values, hidden: Hidden) -> list[str]:
    if not expect.json_values:
        return []
    try:
        document = _document(answer)
    except ValueError as error:
        return [str(error)]
    problems = []
    for wanted in expect.json_values:
        found, value = json_path.find(wanted.path, document), filled_within(wanted.equals, values)
        secret = any(names(text) for _, text in texts_within(wanted.equals))
        if not found:
            problems.append(f"{wanted.path} leads to nothing")
        for other in (one for one in found if not is_same(one, value)):
            shown = "another value" if secret else hidden.shown(other)
            problems.append(f"{wanted.path} is {shown}, not {json.dumps(wanted.equals, ensure_ascii=False)}")
            break
    return problems


def is_same(one: object, other: object) -> bool:
    """Whether two JSON values are equal: 1 is 1.0, and neither is true."""
    if isinstance(one, bool) or isinstance(other, bool) or one is None or other is None:
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one == other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
    return isinstance(one, str) and one == other


def _document(answer: Answer) -> object:
    """The body as JSON. Raises ValueError where it is none, or not all of it is there."""
    if not answer.whole:
        raise ValueError(f"the body is longer than {len(answer.body) >> 20} MiB, and is not read as JSON")
    try:
        found: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None
    return found


def _source(source: str, answer: Answer) -> str | None:
    """The first value there is, or None."""
    kind, _, name = source.partition(":")
    if kind == "header":
        return next(iter(answer.header(name)), None)
    if kind == "cookie":
        return next((value for found, value in map(_cookie, answer.header("Set-Cookie")) if found == name), None)
    try:
        found = json_path.find(source, _document(answer))
    except ValueError:
        return None
    first = found[0] if found else None
    if isinstance(first, bool | int | float):
        return json.dumps(first)
    return first if isinstance(first, str) else None


def _cookie(header: str) -> tuple[str, str]:
    name, _, rest = header.partition("=")
    return name.strip(), rest.partition(";")[0].strip()


def _text(body: bytes) -> str:
    return body.decode(errors="replace")


def _is_value(expected: object, found: object) -> bool:
    """Whether a column of a row is what was expected: what is no number, boolean or NULL is compared as text."""
    if expected is None or found is None or isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | float):
        if not isinstance(found, int | float | Decimal):
            return False
        return math.isfinite(found) and Decimal(str(found)) == Decimal(str(expected))
    return expected == str(found)


def _row(row: Sequence[object]) -> str:
    text = "(" + ", ".join("null" if value is None else str(value) for value in row) + ")"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"
