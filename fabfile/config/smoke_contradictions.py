"""What cannot be meant in the section `smoke`: names that stand for nothing or for two values, and circles."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from fabfile.config.document import KeyPath
from fabfile.config.smoke import HttpTest, SmokeSettings, TcpTest, WebSocketTest
from fabfile.config.suggest import suggest
from fabfile.model.smoke import RELEASE
from fabfile.model.template import names


def smoke_contradictions(smoke: SmokeSettings, has_database: bool) -> Iterator[tuple[KeyPath, str]]:
    """The keys of the section that cannot stand beside others, and why."""
    if smoke.sql and not has_database:
        yield ("smoke", "sql"), "needs a database section to know what to ask"
    twice = list(_same_names(smoke))
    yield from twice
    yield from _unclear_values(smoke)
    yield from _unknown_values(smoke)
    if not twice:  # else nobody knows which of them is waited for
        yield from _circle(smoke)
    for kind, name, test in _network(smoke):
        if smoke.url is None and test.at == ("live",):
            yield ("smoke", kind, name, "at"), "needs smoke.url, the address to ask"
        if isinstance(test, TcpTest) and test.send and test.expect is None:
            yield ("smoke", kind, name, "send"), "needs expect, or nobody learns whether it arrived"


def _network(smoke: SmokeSettings) -> Iterator[tuple[str, str, HttpTest | WebSocketTest | TcpTest]]:
    for kind, tests in (("http", smoke.http), ("websocket", smoke.websocket), ("tcp", smoke.tcp)):
        yield from ((kind, name, test) for name, test in tests.items())


def _same_names(smoke: SmokeSettings) -> Iterator[tuple[KeyPath, str]]:
    taken: dict[str, str] = {}
    for kind in ("http", "websocket", "tcp", "sql", "command"):
        for name in getattr(smoke, kind):
            if name in taken:
                yield ("smoke", kind, name), f"is the name of a test of {taken[name]} too; give each its own"
            taken.setdefault(name, kind)


def _unclear_values(smoke: SmokeSettings) -> Iterator[tuple[KeyPath, str]]:
    """Names that would stand for two values."""
    if RELEASE in smoke.secrets:
        yield ("smoke", "secrets", RELEASE), "stands for the release's id; give the secret another name"
    first: dict[str, str] = {}
    for test, found in smoke.http.items():
        for name in found.capture:
            path = ("smoke", "http", test, "capture", name)
            if name == RELEASE:
                yield path, "stands for the release's id; give the value another name"
            elif name in smoke.secrets:
                yield path, "is one of smoke.secrets too; give the value another name"
            elif name in first:
                yield path, f"is captured by {first[name]} too; give one of them another name"
            first.setdefault(name, test)


def _unknown_values(smoke: SmokeSettings) -> Iterator[tuple[KeyPath, str]]:
    """Names that stand for nothing when they are used."""
    capturing = {name: test for test, found in smoke.http.items() for name in found.capture}
    known = {RELEASE, *smoke.secrets, *capturing}
    for kind, test, found in _network(smoke):
        for path, text in found.texts():
            for name in sorted(names(text)):
                where = ("smoke", kind, test, *path)
                if name not in known:
                    hint = suggest(name, known) or f"known here: {', '.join(sorted(known))}"
                    yield where, f"no test captures {{{name}}}; {hint}; the word itself: {{{{{name}}}}}"
                elif name in capturing and (gone := sorted({*found.at} - {*smoke.http[capturing[name]].at})):
                    yield where, f"{{{name}}} is captured by {capturing[name]}, which does not run at {gone[0]}"


def _circle(smoke: SmokeSettings) -> Iterator[tuple[KeyPath, str]]:
    """The first test of those that wait for one another."""
    try:
        TopologicalSorter({name: smoke.needs(test) for name, test in smoke.network.items()}).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        first = circle[0]
        waits = {name for test in circle for name in smoke.http[test].captures}
        path = next(path for path, text in smoke.http[first].texts() if names(text) & waits)
        yield ("smoke", "http", first, *path), f"waits for itself: {' needs '.join(reversed(circle))}"
