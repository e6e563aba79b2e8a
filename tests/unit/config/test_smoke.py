"""The section `smoke`: which tests wait for which, and what cannot be meant, told on its line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.effective import settings
from fabfile.config.load import load
from fabfile.config.schema import Environment
from fabfile.config.smoke import SmokeSettings
from fabfile.config.smoke_contradictions import smoke_contradictions
from fabfile.errors import BadInput

HEAD = "app: a\nhosts:\n  h: {}\nsmoke:\n  url: https://example.com\n"


def write(project: Path, text: str) -> None:
    (project / "hosts").mkdir(exist_ok=True)
    (project / "hosts" / "x.yml").write_text(HEAD + text, encoding="utf-8")


def errors(project: Path, text: str) -> list[str]:
    write(project, text)
    with pytest.raises(BadInput) as caught:
        load("x", project)
    return [line.removeprefix("hosts/x.yml:") for line in caught.value.details]


def smoke(**kinds: object) -> SmokeSettings:
    environment = Environment.model_validate(
        {
            "app": "a",
            "hosts": {"h": {}},
            "smoke": {"url": "https://example.com", **kinds},
            "database": {"via": "h", "name": "a", "user": "a", "password": "env:A"},
        }
    )
    return environment.smoke


def test_a_test_waits_for_those_that_capture_what_it_uses() -> None:
    found = smoke(
        secrets={"password": "env:X"},
        http={
            "log-in": {"path": "/in", "body": {"p": "{password}"}, "capture": {"token": "$.token", "id": "$.id"}},
            "create": {
                "path": "/items",
                "headers": {"Authorization": "Bearer {token}"},
                "capture": {"item": "header:Location"},
            },
            "read": {"path": "/items/{item}", "expect": {"json": [{"path": "$.owner", "equals": {"id": "{id}"}}]}},
        },
        websocket={"live": {"path": "/live", "send": ["hello {{token}}", "{token}"], "expect": "{release}"}},
        tcp={"port": {}},
    )
    needs = {name: found.needs(test) for name, test in found.network.items()}
    assert needs == {
        "log-in": frozenset(),
        "create": {"log-in"},
        "read": {"create", "log-in"},
        "live": {"log-in"},
        "port": frozenset(),
    }


def test_words_of_commands_and_queries_are_taken_as_they_are() -> None:
    found = smoke(
        sql={"array": {"query": "SELECT '{token}' IS NOT NULL"}}, command={"awk": {"command": ["awk", "{print}"]}}
    )
    assert found.needs(found.sql["array"]) == found.needs(found.command["awk"]) == frozenset()


def test_without_an_address_only_what_asks_the_application_is_left_out_after_the_switch() -> None:
    found = smoke(url=None, http={"a": {"path": "/"}}, command={"b": {"command": ["true"]}}, sql={"c": {"query": "x"}})
    http, command, sql = found.http["a"], found.command["b"], found.sql["c"]
    assert [found.runs(test, "idle") for test in (http, command, sql)] == [True, True, True]
    assert [found.runs(test, "live") for test in (http, command, sql)] == [False, True, True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "  http:\n    a:\n      path: /\n      headers:\n        X: '{tokn}'\n      capture: {token: $.t}\n",
            "10: smoke.http.a.headers.X: no test captures {tokn}; did you mean 'token'?; the word itself: {{tokn}}",
        ),
        (
            "  websocket:\n    a:\n      path: /\n      send:\n        - x\n        - '{other}'\n",
            "11: smoke.websocket.a.send[1]: no test captures {other}; known here: release; the word itself: {{other}}",
        ),
        (
            "  http:\n    a:\n      path: /{t}\n      capture: {u: $.u}\n"
            "    b:\n      path: /{u}\n      capture: {t: $.t}\n",
            "8: smoke.http.a.path: waits for itself: a needs b needs a",
        ),
        (
            "  http:\n    a:\n      path: /{t}\n      capture: {t: $.t}\n",
            "8: smoke.http.a.path: waits for itself: a needs a",
        ),
        (
            "  http:\n    a:\n      path: /\n      capture:\n        t: $.t\n    b:\n      path: /\n      capture:\n"
            "        t: $.t\n",
            "14: smoke.http.b.capture.t: is captured by a too; give one of them another name",
        ),
        (
            "  http:\n    a:\n      path: /\n      at: [idle]\n      capture: {t: $.t}\n"
            "  tcp:\n    b:\n      expect: '{t}'\n",
            "13: smoke.tcp.b.expect: {t} is captured by a, which does not run at live",
        ),
        (
            "  http:\n    a: {path: /}\n  tcp:\n    a: {}\n",
            "9: smoke.tcp.a: is the name of a test of http too; give each its own",
        ),
        ("  sql:\n    a: {query: SELECT true}\n", "6: smoke.sql: needs a database section to know what to ask"),
        ("  tcp:\n    a: {send: x}\n", "7: smoke.tcp.a.send: needs expect, or nobody learns whether it arrived"),
        ("  secrets: {release: env:X}\n", "6: smoke.secrets.release: stands for the release's id; give the secret"),
        (
            "  http:\n    a:\n      path: /\n      expect: {json: [{path: a.b, equals: 1}]}\n",
            "9: smoke.http.a.expect.json[0].path: expected a JSONPath such as $.items[0].id: ",
        ),
        (
            "  http:\n    a:\n      path: /\n      capture: {t: token}\n",
            "9: smoke.http.a.capture.t: expected a JSONPath, header:NAME or cookie:NAME",
        ),
        (
            "  http:\n    a:\n      path: /\n      expect: {body: '('}\n",
            "9: smoke.http.a.expect.body: expected a regular expression: missing )",
        ),
        (
            "  http:\n    a:\n      path: /\n      expect: {jsn: []}\n",
            "9: smoke.http.a.expect.jsn: unknown key; did you mean 'json'?",
        ),
        (
            "  http:\n    a:\n      path: /\n      body: 5\n",
            "9: smoke.http.a.body: expected text, or keys or a list to be",
        ),
        ("  http:\n    a:\n      path: items\n", "8: smoke.http.a.path: expected a path and query that begin with '/'"),
        ("  http:\n    a:\n      path: /\n      status: 200\n", "9: smoke.http.a.status: unknown key; "),
        (
            "  sql:\n    a: {query: x, rows: [[{}]]}\n",
            "7: smoke.sql.a.rows[0][0]: expected text, a number, true, false",
        ),
        ("  url: https://example.com/x\n", "6: smoke.url: this key is already on line 5; remove one"),
    ],
)
def test_a_mistake_is_told_on_its_line(tmp_path: Path, text: str, told: str) -> None:
    found = errors(tmp_path, text)
    assert len(found) == 1, found
    assert found[0].startswith(told)


def test_a_test_of_the_public_address_needs_one() -> None:
    settings = SmokeSettings.model_validate({"http": {"a": {"path": "/", "at": ["live"]}}})
    assert list(smoke_contradictions(settings, True)) == [
        (("smoke", "http", "a", "at"), "needs smoke.url, the address to ask")
    ]


@given(st.dictionaries(st.sampled_from("abcdefg"), st.frozensets(st.sampled_from("abcdefg"), max_size=3)))
def test_a_circle_is_found_wherever_it_is_and_nothing_else_is_called_one(graph: dict[str, frozenset[str]]) -> None:
    graph = {name: needs & set(graph) for name, needs in graph.items()}
    http = {
        name: {"path": "/" + "".join(f"{{v_{need}}}" for need in sorted(needs)), "capture": {f"v_{name}": "$"}}
        for name, needs in graph.items()
    }
    settings = SmokeSettings.model_validate({"http": http})
    told = [text for _, text in smoke_contradictions(settings, False) if text.startswith("waits for itself")]
    assert bool(told) == any(_reaches(graph, name, name) for name in graph)
    for text in told:
        circle = text.removeprefix("waits for itself: ").split(" needs ")
        assert circle[0] == circle[-1]
        assert all(later in graph[name] for name, later in pairwise(circle))


def _reaches(graph: dict[str, frozenset[str]], start: str, end: str) -> bool:
    seen: set[str] = set()
    ahead = set(graph[start])
    while ahead:
        name = ahead.pop()
        if name == end:
            return True
        if name not in seen:
            seen.add(name)
            ahead |= graph[name]
    return False


def test_what_a_request_holds_in_plain_sight_is_not_shown(tmp_path: Path) -> None:
    write(
        tmp_path,
        "  secrets: {pin: env:PIN}\n  http:\n    a:\n      path: /\n      headers: {X-Api-Key: hunter2}\n"
        "      body: {user: ann, password: hunter2, pin: '{pin}'}\n",
    )
    shown = {setting.key: setting.value for setting in settings("x", tmp_path)}
    assert shown["smoke.secrets.pin"] == "env:PIN"
    assert shown["smoke.http.a.body.user"] == "ann"
    assert shown["smoke.http.a.body.password"] == shown["smoke.http.a.headers.X-Api-Key"] == "[hidden]"
    assert "hunter2" not in str(shown)
