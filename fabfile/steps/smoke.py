"""Smoke tests as steps of a run: on the idle slots before the switch, and where users are after it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from urllib.parse import urlsplit

from fabfile.commands.release import keep_verdict
from fabfile.config.schema import Environment
from fabfile.config.smoke import CommandTest, HttpTest, SmokeSettings, SmokeTest, SqlTest, TcpTest, WebSocketTest
from fabfile.engine.events import Judged
from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.errors import TurnoutError
from fabfile.model.hidden import Hidden
from fabfile.model.smoke import Moment, Tried
from fabfile.planning.smoke import Test, asked_at, summary
from fabfile.remote.fleet import Fleet
from fabfile.steps.smoke_round import Task, carry_out
from fabfile.steps.smoke_tests import Means, Place, Trial
from fabfile.steps.target import Target

PORTS = {"http": 80, "https": 443}


def smoke_idle(means: Means, target: Target) -> OperatorStep:
    """Test the release in every idle slot that it came to, as users will; a failure ends the run before they notice."""
    apps, release = target.plan.apps, target.plan.release

    def places() -> list[Place]:
        return [slot(target.environment, means.fleet, app.host, app.port, release) for app in apps]

    title = f"test {release} in the idle slots"
    return _step(means, "smoke-idle", title, "idle", tuple(app.host for app in apps), places)


def smoke_live(means: Means, target: Target) -> OperatorStep:
    """Test the release where users reach it; a failure gives them the former one back."""
    smoke, release = target.environment.smoke, target.plan.release
    title = f"test {release} {f'at {smoke.url}' if smoke.url else 'with all traffic'}, ready to go back"
    hosts = tuple(web.host for web in target.plan.webs)
    return _step(means, "smoke-live", title, "live", hosts, lambda: public(smoke, release))


def slot(environment: Environment, fleet: Fleet, host: str, port: int, release: str) -> Place:
    """A slot of one host, spoken to as its nginx would."""
    address, url = environment.address_of(host), urlsplit(environment.smoke.url or "")

    @contextlib.contextmanager
    def opened(other: int | None) -> Iterator[tuple[str, int]]:
        if environment.hosts[host].local:
            yield address, other or port
        else:
            with fleet[host].forward(address, other or port) as here:
                yield "127.0.0.1", here

    name, headers = url.netloc or f"{address}:{port}", {"X-Forwarded-Proto": url.scheme} if url.scheme else {}
    there = f"http://{address}:{port}"
    return Place(host, name, there, release, opened, False, headers, fleet[host], address, port)


def public(smoke: SmokeSettings, release: str) -> list[Place]:
    """Where users are; without `smoke.url` a place that nobody can ask, for tests that ask something else."""
    url = urlsplit(smoke.url or "")

    @contextlib.contextmanager
    def opened(other: int | None) -> Iterator[tuple[str, int]]:
        yield url.hostname or "", other or url.port or PORTS.get(url.scheme, 0)

    return [Place(smoke.url or "", url.netloc, smoke.url or "", release, opened, tls=url.scheme == "https")]


def examine(means: Means, moment: Moment, places: Sequence[Place]) -> list[Tried]:
    """Carry out the tests of that moment: those of the application at every place, the others once.

    What they capture is hidden from all output. Raises FleetError where a host failed, and not the release.
    """
    smoke, found = means.environment.smoke, asked_at(means.environment.smoke, moment)
    values = {name: secret.get_secret_value() for name, secret in means.secrets().items()}
    hidden = Hidden(values.values())
    if any(isinstance(test, SqlTest) for _, test in found.values()):
        means.database()  # connects to nothing yet, but reads its secret, which threads had better not do

    def task(name: str, kind: str, test: Test, place: Place, where: str) -> Task:
        trial = Trial(name, test, place, means, values, hidden)
        return Task(name, kind, where, trial.attempt, smoke.needs(test), test.retry, test.pause)

    asking = {name: (kind, test) for name, (kind, test) in found.items() if name in smoke.network}
    lanes = [[task(name, kind, test, place, place.where) for name, (kind, test) in asking.items()] for place in places]
    others = {name: (kind, test) for name, (kind, test) in found.items() if name not in smoke.network}
    lanes.append([task(name, kind, test, places[0], _where(test, means)) for name, (kind, test) in others.items()])
    try:
        tried = carry_out(lanes, smoke.timeout, means.fleet)
    finally:
        means.hide(hidden.values)
    return [replace(one, why=hidden.clean(one.why)) for one in tried]


def described(one: Tried) -> str:
    """One line about a verdict."""
    tries = f" after {one.tries} tries" if one.tries > 1 else ""
    return f"{one.test} on {one.where}: {one.outcome}{tries} ({one.seconds:.1f} s)" + (
        f": {one.why}" if one.why else ""
    )


def _step(
    means: Means, name: str, title: str, moment: Moment, hosts: tuple[str, ...], places: Callable[[], Sequence[Place]]
) -> OperatorStep:
    def work(run: Run) -> None:
        began = time.monotonic()
        found = examine(replace(means, run=run.id), moment, places())
        bad = [one for one in found if one.outcome != "passed"]
        verdict: dict[str, object] = {
            "run": run.id,
            "step": name,
            "outcome": "fail" if bad else "pass",
            "sentence": summary(found),
            "seconds": round(time.monotonic() - began, 3),
            "tests": [asdict(one) for one in found],
        }
        run.emit(Judged(name, verdict))
        run.on_hosts("verdict", dict.fromkeys(hosts, keep_verdict(means.paths, json.dumps(verdict))))
        if bad:
            hint = f"correct the release, or the test: smoke in hosts/{means.name}.yml"
            raise TurnoutError(summary(found), hint, [described(one) for one in bad])

    return OperatorStep(name, title, hosts, work, shown=_shown(means.environment.smoke, moment))


def _shown(smoke: SmokeSettings, moment: Moment) -> str:
    """The tests, for a plan: nothing is filled in."""
    lines = []
    for name, (kind, test) in asked_at(smoke, moment).items():
        waits = f", after {', '.join(sorted(needed))}" if (needed := smoke.needs(test)) else ""
        lines.append(f"# {name}: {kind} {_what(test)}{waits}\n")
    return "".join(lines)


def _what(test: Test) -> str:
    match test:
        case HttpTest():
            return f"{test.method} {test.path}, {test.expect.status}"
        case WebSocketTest():
            return test.path
        case TcpTest():
            return f"port {test.port or 'of the application'}"
        case SqlTest():
            return " ".join(test.query.split())
    return f"{' '.join(test.command)} ({test.on})"


def _where(test: SmokeTest, means: Means) -> str:
    if isinstance(test, SqlTest):
        return "the database"
    return means.first if isinstance(test, CommandTest) and test.on == "first" else "this machine"
