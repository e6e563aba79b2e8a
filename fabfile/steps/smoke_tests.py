"""One try of one smoke test, whatever its kind: asked, judged, and what it captured."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import SecretStr

from fabfile.commands import hook, probe
from fabfile.config.nesting import RUN
from fabfile.config.schema import Environment
from fabfile.config.smoke import CommandTest, HttpTest, SmokeTest, SqlTest, TcpTest, WebSocketTest
from fabfile.database.port import Database
from fabfile.errors import Interrupted, TurnoutError, Unreachable
from fabfile.model.hidden import Hidden
from fabfile.model.paths import Paths
from fabfile.model.smoke import RELEASE, Attempt
from fabfile.model.template import filled
from fabfile.planning import smoke as judging
from fabfile.planning.smoke import Values
from fabfile.remote import local_command
from fabfile.remote.fleet import Fleet
from fabfile.remote.port import Host
from fabfile.wire.http import ask
from fabfile.wire.line import Origin
from fabfile.wire.tcp import exchange

LINES = 5
"""Last lines of a command's output that are told when it fails."""


@dataclass(frozen=True)
class Means:
    """What tests of an environment work with, and the run that they belong to, if any.

    `first` is the host for commands on hosts, `environ` what commands here inherit, `project` where those run; `hide`
    keeps values out of all output.
    """

    environment: Environment
    name: str
    fleet: Fleet
    paths: Paths
    project: Path
    environ: Mapping[str, str]
    first: str
    database: Callable[[], Database | None]
    secrets: Callable[[], Mapping[str, SecretStr]]
    hide: Callable[[Iterable[str]], None]
    run: str = ""


@dataclass(frozen=True)
class Place:
    """An application to be tested, with this release: a slot on one `host` (at `address` and `port`, as seen there), or
    what users reach.

    `name` is what users call it (a Host header), `url` what a command is told of it; `opened` gives the address and
    port here that lead to its own port or to another of its machine. `headers` go with requests that lack them.
    """

    where: str
    name: str
    url: str
    release: str
    opened: Callable[[int | None], AbstractContextManager[tuple[str, int]]]
    tls: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    host: Host | None = None
    address: str = ""
    port: int = 0


@dataclass(frozen=True)
class Trial:
    """A test, by its name, at a place; `values` are those that are known before any is captured."""

    name: str
    test: SmokeTest
    place: Place
    means: Means
    values: Values
    hidden: Hidden

    def attempt(self, captured: Values, stop: threading.Event) -> Attempt:
        """Try it once. What speaks against the release is a problem; raises Unreachable or Interrupted for a host."""
        values = {**self.values, **captured, RELEASE: self.place.release}
        try:
            return self._attempt(values, stop)
        except (Unreachable, Interrupted):
            raise
        except TurnoutError as error:
            return Attempt((error.fact, *error.details[-LINES:]))

    def _attempt(self, values: Values, stop: threading.Event) -> Attempt:
        match self.test:
            case HttpTest() as test:
                return self._http(test, values)
            case WebSocketTest() as test:
                return _one(self._websocket(test, values))
            case TcpTest() as test:
                return _one(self._tcp(test, values))
            case SqlTest() as test:
                return _one(self._sql(test))
            case CommandTest() as test:
                return _one(self._command(test, stop))
        raise AssertionError(f"no such kind of test: {type(self.test).__name__}")

    def _http(self, test: HttpTest, values: Values) -> Attempt:
        try:
            request = judging.request(test, values)
        except ValueError as error:
            return _one(str(error))
        request = replace(request, headers={**self._usual(request.headers), **request.headers})
        with self.place.opened(None) as reached:
            answer = ask(self._origin(*reached), request, test.timeout)
        captured, lacking = judging.captured(test, answer)
        self.hidden.add(captured.values())
        problems = judging.objections(test, answer, values, self.hidden) or lacking
        return Attempt(tuple(problems), captured)

    def _websocket(self, test: WebSocketTest, values: Values) -> str:
        from fabfile.wire.websocket import converse  # its library is not loaded where nothing needs it

        try:
            headers = judging.headers_of(test, values)
        except ValueError as error:
            return str(error)
        path, send = judging.path_of(test, values), [filled(text, values) for text in test.send]
        is_wanted = _wanted(test.expect, values)
        with self.place.opened(None) as reached:
            headers = {**self._usual(headers), **headers}
            return _told(test.expect, converse(self._origin(*reached), path, headers, send, is_wanted, test.timeout))

    def _tcp(self, test: TcpTest, values: Values) -> str:
        place = self.place
        if test.expect is None and place.host:
            # Through a host every connection succeeds here at first, so it is tried there.
            place.host.run(probe.listens(place.address, test.port or place.port, test.timeout))
            return ""
        sent, is_wanted = filled(test.send or "", values), _wanted(test.expect, values)
        with place.opened(test.port) as reached:
            return _told(test.expect, exchange(self._origin(*reached, tls=False), sent, is_wanted, test.timeout))

    def _sql(self, test: SqlTest) -> str:
        database = self.means.database()
        assert database, "queries are only configured beside a database"
        return database.objection(database.live, test.query, test.timeout, test.rows)

    def _command(self, test: CommandTest, stop: threading.Event) -> str:
        lines = self._there(test) if test.on == "first" else self._here(test, stop)
        if test.output is None or re.search(test.output, "\n".join(lines)):
            return ""
        return f"{test.output} is not found in what it wrote: {self.hidden.excerpt(' / '.join(lines[-LINES:]))}"

    def _there(self, test: CommandTest) -> Sequence[str]:
        means = self.means
        variables = self._variables(self.place.url)
        script = hook.smoke_test(means.paths, self.name, test.command, variables, test.timeout, test.status)
        return means.fleet[means.first].run(script).stdout.splitlines()

    def _here(self, test: CommandTest, stop: threading.Event) -> Sequence[str]:
        means = self.means
        with self.place.opened(None) as (address, port):
            url = f"http://{address}:{port}" if self.place.host else self.place.url
            environ = {**means.environ, **self._variables(url)}
            ended = local_command.run(test.command, means.project, test.timeout, environ, stop=stop)
        if ended.status != test.status:
            raise TurnoutError(f"{shlex.join(test.command)} {ended.how}", "", ended.lines)
        return ended.lines

    def _variables(self, url: str) -> dict[str, str]:
        means = self.means
        found = {"TURNOUT_ENV": means.name, "TURNOUT_RELEASE": self.place.release, "TURNOUT_URL": url}
        return {**found, RUN: means.run} if means.run else found

    def _usual(self, headers: Mapping[str, str]) -> dict[str, str]:
        """What goes along with every request, but for headers that it has itself."""
        own = {name.lower() for name in headers}
        return {name: value for name, value in self.place.headers.items() if name.lower() not in own}

    def _origin(self, address: str, port: int, tls: bool | None = None) -> Origin:
        return Origin(address, port, self.place.name, self.place.tls if tls is None else tls)


def _one(problem: str) -> Attempt:
    return Attempt((problem,) if problem else ())


def _wanted(pattern: str | None, values: Values) -> Callable[[str], bool] | None:
    return None if pattern is None else lambda text: judging.is_found(pattern, text, values)


def _told(pattern: str | None, why: str) -> str:
    return f"{pattern}: {why}" if why else ""
