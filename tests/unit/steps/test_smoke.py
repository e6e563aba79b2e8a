"""Smoke tests as steps of a run: where they run, what a plan shows, and what is kept of their verdicts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from fabfile.commands import lease
from fabfile.config.schema import Environment
from fabfile.engine.events import Event, Judged
from fabfile.engine.run import Run
from fabfile.engine.runner import Aftermath, carry_out
from fabfile.errors import RolledBack
from fabfile.model.observed import Slot
from fabfile.model.paths import Paths
from fabfile.model.plan import AppPlan, Plan, WebPlan
from fabfile.model.script import Result, Script
from fabfile.planning.blame import is_to_blame
from fabfile.planning.smoke import asked_at
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps.smoke import examine, public, slot, smoke_idle, smoke_live
from fabfile.steps.smoke_tests import Means
from fabfile.steps.target import Target
from tests.unit.recovery.test_capture_and_restore import MemoryDatabase

RUN = "20250131T030000-0a1b"
SLOT: Slot = "green"


class InTurn(LocalHost):
    """One of the hosts that have one directory here: taking a step back on one ends the step that another is at."""

    turn = threading.Lock()

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        with self.turn:
            return super().run(script, stdin)


@dataclass
class World:
    """Two hosts, which are this machine, with an application on `port`; and a run on them."""

    folder: Path
    port: int
    smoke: dict[str, Any]
    hidden: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    database: MemoryDatabase = field(default_factory=MemoryDatabase)

    def __post_init__(self) -> None:
        self.hosts = {name: InTurn(name) for name in ("h1", "h2")}
        self.environment = Environment.model_validate(
            {
                "app": "shop",
                "hosts": {"h1": {}, "h2": {}},
                "smoke": self.smoke,
                "database": {"via": "h1", "name": "app", "user": "turnout", "password": "env:PASSWORD"},
            }
        )
        self.paths = Paths("shop", base=str(self.folder))
        fleet = Fleet(self.hosts)
        self.means = Means(
            self.environment,
            "demo",
            fleet,
            self.paths,
            self.folder,
            dict(os.environ),
            "h1",
            lambda: self.database,
            lambda: {"password": SecretStr("hunter22")},
            self.hide,
        )
        apps = tuple(
            AppPlan(name, SLOT, self.port, "127.0.0.1", None, None, None, True, "node", "pm2") for name in self.hosts
        )
        webs = tuple(WebPlan(name, SLOT, (), None, None, None) for name in self.hosts)
        plan = Plan("deploy", "deploy", "2.0-abc", apps, webs)
        self.target = Target(RUN, "demo", "ann", "", plan, self.environment, self.paths, {}, "", {})

    def hide(self, values: Iterable[str]) -> None:
        self.hidden += values

    def run(self) -> Run:
        script = lease.acquire(self.paths, RUN, "ann", "deploy", 120)
        token = lease.parse_acquired(self.hosts["h1"].run(script).stdout)  # both hosts have one directory here
        assert isinstance(token, int)
        tokens = dict.fromkeys(self.hosts, token)
        return Run(RUN, "deploy", self.means.fleet, self.paths, tokens, self.events.append, LocalHost)

    @property
    def verdicts(self) -> list[Any]:
        lines = (Path(self.paths.state) / "verdicts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def application() -> Iterator[int]:
    """Logs in whoever knows the password, and tells the token's owner who asked; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            known = self.path != "/me" or self.headers["Authorization"] == "Bearer tok-12345"
            document = {"token": "tok-12345", "got": body, "host": self.headers["Host"], "known": known}
            document["proto"] = self.headers["X-Forwarded-Proto"]
            data = json.dumps(document).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET  # noqa: N815 - the names that http.server asks for

        def log_message(self, format: str, *args: object) -> None:
            """Nobody listens."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def port() -> Iterator[int]:
    with application() as found:
        yield found


LOG_IN = {"method": "POST", "path": "/in", "body": {"p": "{password}"}, "capture": {"token": "$.token"}}
ME = {"path": "/me", "headers": {"Authorization": "Bearer {token}"}}


def world(folder: Path, port: int, **smoke: Any) -> World:
    return World(folder, port, {"secrets": {"password": "env:X"}, **smoke})


def test_every_idle_slot_is_tested_and_verdicts_with_times_are_kept(tmp_path: Path, port: int) -> None:
    found = world(tmp_path, port, http={"me": ME, "log-in": LOG_IN}, sql={"stock": {"query": "SELECT true"}})
    step = smoke_idle(found.means, found.target)
    assert (step.name, step.hosts) == ("smoke-idle", ("h1", "h2"))
    step.do(found.run())
    [judged] = [event for event in found.events if isinstance(event, Judged)]
    assert judged.verdict == found.verdicts[0] == found.verdicts[1]
    assert judged.verdict["outcome"] == "pass"
    assert judged.verdict["sentence"] == "5 smoke tests passed"
    tests = judged.verdict["tests"]
    assert isinstance(tests, list)
    assert [(one["test"], one["where"], one["outcome"]) for one in tests] == [
        ("me", "h1", "passed"),
        ("log-in", "h1", "passed"),
        ("me", "h2", "passed"),
        ("log-in", "h2", "passed"),
        ("stock", "the database", "passed"),
    ]
    assert all(one["seconds"] >= 0 for one in tests)


def test_a_failure_ends_the_run_and_no_secret_is_told_or_kept(tmp_path: Path, port: int) -> None:
    wrong = {**ME, "expect": {"json": [{"path": "$.token", "equals": "other"}, {"path": "$.got", "equals": "x"}]}}
    echo = {"path": "/echo", "body": "token {token}, {password}", "expect": {"status": 418}}
    found = world(tmp_path, port, http={"log-in": LOG_IN, "me": wrong, "echo": echo, "gone": {"path": "/me"}})
    with pytest.raises(RolledBack) as caught:
        carry_out([smoke_idle(found.means, found.target)], [], found.run(), Aftermath(list))
    error = caught.value
    assert "6 of 8 smoke tests failed: me on h1, echo on h1, gone on h1, me on h2" in error.fact
    assert "smoke in hosts/demo.yml" in error.hint
    told = "\n".join([error.fact, *error.details, json.dumps(found.verdicts), repr(found.events)])
    assert "[hidden]" in told
    assert "status 200, not 418" in told
    assert "tok-12345" not in told
    assert "hunter22" not in told
    assert {"tok-12345", "hunter22"} <= set(found.hidden)
    assert found.verdicts[0]["outcome"] == "fail"
    assert is_to_blame("smoke-idle", error.__cause__ or error)  # type: ignore[arg-type]


def test_what_needs_a_failed_one_is_not_run(tmp_path: Path, port: int) -> None:
    found = world(tmp_path, port, http={"log-in": {**LOG_IN, "expect": {"status": 201}}, "me": ME})
    [first, second] = examine(found.means, "idle", [slot(found.environment, found.means.fleet, "h1", port, "1")])
    assert (first.outcome, first.why) == ("failed", "status 200, not 201")
    assert (second.outcome, second.why) == ("skipped", "not run, because log-in did not pass")


def test_the_idle_slot_is_asked_as_through_nginx_by_the_name_that_users_know(tmp_path: Path, port: int) -> None:
    expect = {
        "json": [
            {"path": "$.host", "equals": "shop.example.com"},
            {"path": "$.proto", "equals": "https"},
        ]
    }
    found = world(tmp_path, port, url="https://shop.example.com", http={"who": {"path": "/", "expect": expect}})
    place = slot(found.environment, found.means.fleet, "h1", port, "1")
    assert [one.why for one in examine(found.means, "idle", [place])] == [""]


def test_the_public_address_is_asked_from_here_once(tmp_path: Path, port: int) -> None:
    url = f"http://localhost:{port}"
    found = world(tmp_path, port, url=url, http={"me": ME, "log-in": LOG_IN, "before": {"path": "/x", "at": ["idle"]}})
    step = smoke_live(found.means, found.target)
    assert (step.name, step.hosts) == ("smoke-live", ("h1", "h2"))
    assert f"at {url}" in step.title
    step.do(found.run())
    assert [(one["test"], one["where"]) for one in found.verdicts[0]["tests"]] == [("me", url), ("log-in", url)]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://example.com", ("example.com", 443)),
        ("http://example.com", ("example.com", 80)),
        ("https://example.com:8443", ("example.com", 8443)),
    ],
)
def test_a_public_address_has_its_usual_port(tmp_path: Path, url: str, address: tuple[str, int]) -> None:
    [place] = public(world(tmp_path, 1, url=url).environment.smoke, "1")
    with place.opened(None) as found:
        assert found == address
    with place.opened(25) as other:
        assert other == (address[0], 25)
    assert place.tls == url.startswith("https")


def test_a_plan_shows_every_test_and_no_value(tmp_path: Path) -> None:
    found = world(
        tmp_path,
        3002,
        http={"log-in": LOG_IN, "me": ME},
        websocket={"live": {"path": "/live"}},
        tcp={"cache": {"port": 6379}},
        sql={"stock": {"query": "SELECT\n  true", "at": ["live"]}},
        command={"look": {"command": ["npm", "run", "look"]}},
    )
    shown = smoke_idle(found.means, found.target).preview("h1")
    assert shown == (
        "# test 2.0-abc in the idle slots\n"
        "# log-in: http POST /in, 200\n"
        "# me: http GET /me, 200, after log-in\n"
        "# live: websocket /live\n"
        "# cache: tcp port 6379\n"
        "# look: command npm run look (operator)\n"
    )
    assert "# stock: sql SELECT true\n" in smoke_live(found.means, found.target).preview("h1")
    assert list(asked_at(found.environment.smoke, "live")) == ["stock", "look"]


def test_a_query_is_asked_once_and_a_wrong_answer_told(tmp_path: Path, port: int) -> None:
    found = world(tmp_path, port, sql={"stock": {"query": "SELECT 1", "retry": 1, "pause": "1ms"}})
    found.database.objections["SELECT 1"] = "its first column is not of type boolean"
    places = [slot(found.environment, found.means.fleet, name, port, "1") for name in found.hosts]
    [one] = examine(found.means, "idle", places)
    assert (one.outcome, one.tries, one.why) == ("failed", 2, "its first column is not of type boolean")


@pytest.mark.parametrize("on", ["operator", "first"])
def test_a_command_is_told_where_the_application_is(tmp_path: Path, port: int, on: str) -> None:
    say = 'curl -fsS "$TURNOUT_URL/x"; echo "[$TURNOUT_ENV $TURNOUT_RELEASE $TURNOUT_RUN]"'
    good = {"command": ["sh", "-c", say], "on": on, "output": rf'"known": true.*\[demo 2.0-abc {RUN}\]'}
    bad = {"command": ["sh", "-c", "echo no; exit 3"], "on": on}
    found = world(tmp_path, port, command={"good": good, "bad": bad, "three": {**bad, "status": 3, "output": "^no$"}})
    Path(found.paths.root).mkdir(exist_ok=True)
    with pytest.raises(Exception, match="1 of 3 smoke tests failed") as caught:
        smoke_idle(found.means, found.target).do(found.run())
    [detail] = caught.value.details  # type: ignore[attr-defined]
    assert detail.startswith(f"bad on {'h1' if on == 'first' else 'this machine'}: failed")
    assert "ended with status 3" in detail
    assert detail.endswith("; no")


def test_a_port_is_looked_at_from_its_host(tmp_path: Path, port: int) -> None:
    with application() as gone:
        pass
    found = world(tmp_path, port, tcp={"own": {}, "gone": {"port": gone}})
    first, second = examine(found.means, "idle", [slot(found.environment, found.means.fleet, "h1", port, "1")])
    assert (first.outcome, second.outcome) == ("passed", "failed")
    assert second.why == f"h1: nothing takes connections at 127.0.0.1:{gone}"


def test_a_host_of_this_machine_is_reached_at_the_address_it_has(tmp_path: Path) -> None:
    environment = Environment.model_validate(
        {
            "app": "shop",
            "hosts": {
                "h1": {"local": True, "internal": "192.0.2.1", "roles": ["app"]},
                "h2": {"roles": ["web"]},
            },
        }
    )
    place = slot(environment, Fleet({"h1": LocalHost("h1")}), "h1", 3001, "1")
    with place.opened(None) as found:
        assert found == ("192.0.2.1", 3001)
