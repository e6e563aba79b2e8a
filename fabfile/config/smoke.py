"""The section `smoke`: what a release must do before it gets traffic, and at the public address afterwards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from fabfile.config.document import KeyPath
from fabfile.config.section import Section
from fabfile.config.values import CommandWords, Duration, Matching, Name, PlainText, Port, Sourced, VariableName
from fabfile.model import json_path
from fabfile.model.smoke import Moment
from fabfile.model.template import names, texts_within

BOTH: tuple[Moment, ...] = ("idle", "live")
SHAPE = "a path and query that begin with '/', such as /api/items?limit=1"
PLACES = r"^(\$.*|(header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]+)$"


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    return value


def _scalar(value: object) -> object:
    if value is not None and not isinstance(value, str | bool | int | float):
        raise ValueError("expected text, a number, true, false or null")
    return value


def _sent(value: object) -> object:
    if value is not None and not isinstance(value, str | dict | list):
        raise ValueError("expected text, or keys or a list to be sent as JSON")
    return value


def _captured(value: str) -> str:
    return json_path.check(value) if value.startswith("$") else value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression that is to be found somewhere in a text."""
JsonPath = Annotated[str, AfterValidator(json_path.check)]
HeaderName = Annotated[str, Matching(r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$", "a header's name, such as Content-Type")]
Target = Annotated[str, Matching(r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?{}-]*$", SHAPE)]
Source = Annotated[str, Matching(PLACES, "a JSONPath, header:NAME or cookie:NAME"), AfterValidator(_captured)]
Scalar = Annotated[object, AfterValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean", "null"]})]


class Filled(Section):
    """A part of the section in some of whose texts `{name}` stands for a value."""

    templated: ClassVar[tuple[str, ...]] = ()
    """The fields that these texts are in."""

    def texts(self) -> Iterator[tuple[KeyPath, str]]:
        """Each such text, with the keys that lead to it from here."""
        for name in self.templated:
            key = type(self).model_fields[name].alias or name
            yield from (((key, *path), text) for path, text in _texts(getattr(self, name)))


class SmokeTest(Filled):
    """What every kind of test has."""

    timeout: Duration = 10.0
    """How long one try may take."""
    retry: Annotated[int, Field(ge=0, le=100)] = 0
    """How many more times it is tried when it fails."""
    pause: Duration = 1.0
    """The time between two tries."""

    @property
    def captures(self) -> tuple[str, ...]:
        """The names of the values that it captures for others."""
        return ()

    @property
    def uses(self) -> frozenset[str]:
        """The names of the values that it is filled with."""
        return frozenset(name for _, text in self.texts() for name in names(text))


class NetworkTest(SmokeTest):
    """A test that asks the application itself."""

    at: Annotated[tuple[Moment, ...], Field(min_length=1)] = BOTH
    """When: `idle` on each host's idle slot before it gets traffic, `live` at `url` when it has it."""


class JsonExpectation(Filled):
    """A value in a JSON answer."""

    templated = ("equals",)
    path: JsonPath
    """Where: a JSONPath (RFC 9535) that leads to at least one value."""
    equals: object
    """What every value there must be: text, a number, true, false, null, or a list or keys of such."""


class HttpExpectation(Filled):
    """What an HTTP answer must be like."""

    templated = ("headers", "body", "json_values")
    status: Annotated[int, Field(ge=100, le=599)] = 200
    """Its status; redirects are not followed."""
    headers: dict[HeaderName, Pattern] = {}  # noqa: RUF012 - pydantic copies it
    """Headers that must be there, and a regular expression to be found in each."""
    body: Pattern | None = None
    """A regular expression to be found in its body."""
    json_values: Annotated[tuple[JsonExpectation, ...], Field(alias="json")] = ()
    """Values in its body, which is JSON then."""


class HttpTest(NetworkTest):
    """A request to the application."""

    templated = ("path", "headers", "body", "expect")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    """Its method."""
    path: Target
    """Its path and query; what is filled in is escaped for there."""
    headers: dict[HeaderName, PlainText] = {}  # noqa: RUF012 - pydantic copies it
    """Its headers, beside Host; on the idle slot X-Forwarded-Proto goes along as through nginx."""
    body: Annotated[object, AfterValidator(_sent), WithJsonSchema({"type": ["string", "object", "array", "null"]})] = (
        None
    )
    """What it sends: text, or keys or a list that are sent as JSON."""
    expect: HttpExpectation = HttpExpectation()
    """What the answer must be like."""
    capture: dict[VariableName, Source] = {}  # noqa: RUF012 - pydantic copies it
    """Values of the answer that other tests use as `{name}`: each a JSONPath, `header:NAME` or `cookie:NAME`."""

    @property
    def captures(self) -> tuple[str, ...]:
        return tuple(self.capture)


class WebSocketTest(NetworkTest):
    """A WebSocket that opens, takes messages and gives one."""

    templated = ("path", "headers", "send", "expect")
    path: Target
    """Its path and query."""
    headers: dict[HeaderName, PlainText] = {}  # noqa: RUF012 - pydantic copies it
    """Headers of the request that opens it."""
    send: tuple[str, ...] = ()
    """Text messages that are sent once it is open."""
    expect: Pattern | None = None
    """A regular expression to be found in one of the messages that come; default: that it opens is enough."""


class TcpTest(NetworkTest):
    """A port that takes connections."""

    templated = ("send", "expect")
    port: Port | None = None
    """Which one, on the host of the slot or of `url`; default: the application's own."""
    send: Annotated[str, Field(min_length=1)] | None = None
    """What is sent, such as "PING\\r\\n" (in double quotes)."""
    expect: Pattern | None = None
    """A regular expression to be found in what comes; default: that it connects is enough."""


class SqlTest(SmokeTest):
    """A query that only reads, asked of the environment's database as `database.user`; nothing is filled in."""

    at: Annotated[tuple[Literal["idle", "live", "copy"], ...], Field(min_length=1)] = ("idle", "live", "copy")
    """When: `idle` and `live` as above; `copy` of every restored copy, before a restore or a verification counts."""
    query: Annotated[str, Field(min_length=1)]
    """The query."""
    rows: tuple[tuple[Scalar, ...], ...] | None = None
    """The rows that it must give, in this order; default: one whose first column is true."""


class CommandTest(SmokeTest):
    """A program of the team; its words are taken as they are, and TURNOUT_URL tells it where the application is."""

    at: Annotated[tuple[Moment, ...], Field(min_length=1)] = BOTH
    """When, as above; it runs once each time."""
    command: CommandWords
    """A program and its arguments, each a word of its own; no shell reads them."""
    on: Literal["operator", "first"] = "operator"
    """Where it runs: `operator` here in the project, `first` the first app host."""
    status: Annotated[int, Field(ge=0, le=255)] = 0
    """The exit status that it must end with."""
    output: Pattern | None = None
    """A regular expression to be found in the last lines that it writes."""


Origin = Annotated[
    str, Matching(r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", "an address without a path, such as https://example.com")
]


class SmokeSettings(Section):
    """Tests of a release, all at once but for those that use what another captures; a failure undoes the run."""

    url: Origin | None = None
    """Where users reach the application; without it the tests of its answers run on the idle slots alone."""
    timeout: Duration = 120.0
    """How long all tests of one moment may take together."""
    secrets: dict[VariableName, Sourced] = {}  # noqa: RUF012 - pydantic copies it
    """Values to use as `{name}`, such as a password: `env:NAME` or `file:PATH`; `{release}` is the release's id."""
    http: dict[Name, HttpTest] = {}  # noqa: RUF012 - pydantic copies it
    """Requests and what is to be answered, by name."""
    websocket: dict[Name, WebSocketTest] = {}  # noqa: RUF012 - pydantic copies it
    """WebSockets, by name."""
    tcp: dict[Name, TcpTest] = {}  # noqa: RUF012 - pydantic copies it
    """Ports, by name."""
    sql: dict[Name, SqlTest] = {}  # noqa: RUF012 - pydantic copies it
    """Queries and what they are to give, by name; restored copies are asked them as well."""
    command: dict[Name, CommandTest] = {}  # noqa: RUF012 - pydantic copies it
    """Commands, by name."""

    @property
    def network(self) -> Mapping[str, HttpTest | WebSocketTest | TcpTest]:
        """The tests that ask the application itself, by name."""
        return {**self.http, **self.websocket, **self.tcp}

    def runs(self, test: HttpTest | WebSocketTest | TcpTest | SqlTest | CommandTest, moment: Moment) -> bool:
        """Whether a test belongs to that moment."""
        return moment in test.at and not (moment == "live" and self.url is None and isinstance(test, NetworkTest))

    def needs(self, test: SmokeTest) -> frozenset[str]:
        """The names of the tests that capture what this one uses."""
        capturing = {name: test for test, found in self.http.items() for name in found.captures}
        return frozenset(capturing[name] for name in test.uses if name in capturing)


def _texts(value: object) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, Filled):
        yield from value.texts()
    elif isinstance(value, tuple) and any(isinstance(entry, Filled) for entry in value):
        for place, entry in enumerate(value):
            yield from (((place, *path), text) for path, text in _texts(entry))
    else:
        yield from texts_within(value)
