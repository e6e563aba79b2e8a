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
            tokens = _acquire(fleet, hosts, paths, run, holder, reason)
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


def _acquire(fleet: Fleet, hosts: tuple[str, ...], paths: Paths, run: str, holder: str, reason: str) -> dict[str, int]:
    tokens: dict[str, int] = {}

    def attempt(host: Host, dead: str = "") -> int | dict[str, str]:
        script = lease.acquire(paths, run, holder, reason, TTL, process_identity.mine(), dead)
        return lease.parse_acquired(host.run(script).stdout)

    def take(host: Host) -> None:
        answer = attempt(host)
        if not isinstance(answer, int) and process_identity.died_here(answer.get("process", "")):
            answer = attempt(host, dead=answer["run"])
        if isinstance(answer, int):
            tokens[host.name] = answer
            return
        raise Locked(
            f"{host.name} is locked by {answer.get('holder')} for: {answer.get('reason')}",
            f"wait (its lease ends {answer.get('remaining')} s after its last sign of life), use --lock-wait=10m, "
            f"or if that run is dead: inv lock.release",
        )

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


def _beat(host: Host, token: int, paths: Paths, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT):
        with contextlib.suppress(Exception):  # a step on that host will say what is wrong
            host.run(lease.renew(paths, token))


def _give_back(fleet: Fleet, hosts: Iterable[str], paths: Paths, run: str) -> None:
    with contextlib.suppress(TurnoutError):  # an unreachable host's lease ends by itself
        fleet.each(hosts, lambda host: host.run(lease.release(paths, run)))
