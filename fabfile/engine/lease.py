"""Holding the lease of several hosts: taken on all or none, kept alive by a heartbeat, always given back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping

from fabfile.commands import lease
from fabfile.engine import process_identity
from fabfile.engine.events import Emit, Note
from fabfile.errors import Locked, TurnoutError
from fabfile.model.observed import BY_HAND
from fabfile.model.paths import Paths
from fabfile.remote.fleet import Fleet
from fabfile.remote.port import Host

TTL = 120
"""Seconds after which a lease without a heartbeat may be taken over."""
HEARTBEAT = 20.0


@contextlib.contextmanager
def held(
    fleet: Fleet, hosts: tuple[str, ...], paths: Paths, run: str, holder: str, reason: str, wait: float, emit: Emit
) -> Iterator[Mapping[str, int]]:
    """Hold the lease on all hosts and yield their fencing tokens. `wait`: seconds to wait for another holder.

    Raises Locked, naming the holder, when the lease cannot be had in time; nothing is held then.
    """
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            tokens = take(fleet, hosts, paths, run, holder, reason, TTL, process_identity.mine())
            break
        except Locked as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                emit(Note(f"{error.fact}; waiting up to {wait:.0f} s, Ctrl-C gives up"))
                told = True
            time.sleep(min(2.0, max(0.1, deadline - time.monotonic())))
    stop = threading.Event()
    for host, token in tokens.items():
        threading.Thread(target=_beat, args=(fleet[host], token, paths, stop), daemon=True).start()
    try:
        yield tokens
    finally:
        stop.set()
        with contextlib.suppress(KeyboardInterrupt):  # the run is over; its own report is what counts
            _give_back(fleet, tokens, paths, run)


def take(
    fleet: Fleet, hosts: tuple[str, ...], paths: Paths, run: str, holder: str, reason: str, ttl: int, process: str = ""
) -> dict[str, int]:
    """Take the lease on all hosts or none, for `ttl` seconds without a heartbeat, and return their fencing tokens.

    `process` is the holder's own, if the lease ends with it: from one that died on this machine it is taken at once.

    Raises Locked, naming the holder; FleetError when a host does not answer.
    """
    tokens: dict[str, int] = {}

    def attempt(host: Host, dead: str = "") -> int | dict[str, str]:
        script = lease.acquire(paths, run, holder, reason, ttl, process, dead)
        return lease.parse_acquired(host.run(script).stdout)

    def take(host: Host) -> None:
        answer = attempt(host)
        if not isinstance(answer, int) and process_identity.died_here(answer.get("process", "")):
            answer = attempt(host, dead=answer["run"])
        if isinstance(answer, int):
            tokens[host.name] = answer
            return
        raise _locked(host.name, answer)

    # The first host in sorted order decides between two operators; nobody waits while holding, so nobody deadlocks.
    first, rest = sorted(hosts)[:1], sorted(hosts)[1:]
    try:
        for some in (first, rest):
            if some:
                fleet.each(some, take)
    except BaseException as error:
        _give_back(fleet, hosts, paths, run)
        failures = getattr(error, "failures", ())
        raise next((f for f in failures if isinstance(f, Locked)), error) from None
    return tokens


def _locked(host: str, lease: Mapping[str, str]) -> Locked:
    fact = f"{host} is locked by {lease.get('holder')} for: {lease.get('reason')}"
    remaining = lease.get("remaining", "0")
    if lease.get("run", "").startswith(BY_HAND):
        until = time.strftime("%Y-%m-%d %H:%M %Z", time.localtime(time.time() + int(remaining)))
        return Locked(f"{fact} (until {until})", "ask them, or wait; to end it by hand: inv lock.release")
    return Locked(
        fact,
        f"wait (its lease ends {remaining} s after its last sign of life), use --lock-wait=10m, "
        f"or if that run is dead: inv lock.release",
    )


def _beat(host: Host, token: int, paths: Paths, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(Exception):  # a step on that host will say what is wrong
            host.run(lease.renew(paths, token))


def _give_back(fleet: Fleet, hosts: Iterable[str], paths: Paths, run: str) -> None:
    with contextlib.suppress(TurnoutError):  # an unreachable host's lease ends by itself
        fleet.each(hosts, lambda host: host.run(lease.release(paths, run)))
