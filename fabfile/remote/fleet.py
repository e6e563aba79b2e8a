"""Several hosts at once: bounded parallelism, every host finishes, every failure is reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from fabfile.commands.traffic import CALLED_OFF
from fabfile.errors import FleetError, Interrupted, RemoteError, TurnoutError
from fabfile.model.script import Script
from fabfile.remote.port import Host

T = TypeVar("T")
PARALLEL = 32


def _was_called_off(error: TurnoutError) -> bool:
    return isinstance(error, RemoteError) and error.status == CALLED_OFF


class _Rendezvous:
    """Where hosts wait for each other: the word is given when all are ready, or never."""

    def __init__(self, expected: int, word: bytes) -> None:
        self._expected, self._word = expected, word
        self._decided = threading.Event()
        self._lock = threading.Lock()
        self.given_at = 0.0

    def is_ready(self) -> None:
        with self._lock:
            self._expected -= 1
            if self._expected == 0 and not self._decided.is_set():
                self.given_at = time.monotonic()
                self._decided.set()

    def call_off(self) -> None:
        with self._lock:
            self._decided.set()

    def word(self) -> Iterator[bytes]:
        self._decided.wait()
        if self.given_at:
            yield self._word


class Fleet:
    """The hosts of one run."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self.hosts = dict(hosts)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def each(self, names: Iterable[str], do: Callable[[Host], T], parallel: int = PARALLEL) -> dict[str, T]:
        """What `do` returned, by host. Raises FleetError with all failures once every host has finished.

        On Ctrl-C what runs on the hosts is ended first, then KeyboardInterrupt goes on.
        """
        chosen = sorted(names)
        with ThreadPoolExecutor(max_workers=max(1, min(parallel, len(chosen)))) as pool:
            futures = {name: pool.submit(do, self.hosts[name]) for name in chosen}
            try:
                while wait(futures.values(), timeout=0.2).not_done:
                    pass  # short waits, so that a signal is handled at once
            except BaseException:
                self._interrupt(futures.values())
                raise
        failures = [error for future in futures.values() if (error := future.exception()) is not None]
        expected = [error for error in failures if isinstance(error, TurnoutError)]
        for error in failures:
            if not isinstance(error, TurnoutError):
                raise error
        if any(isinstance(error, Interrupted) for error in expected):
            raise KeyboardInterrupt
        if expected:
            raise FleetError(expected)
        return {name: future.result() for name, future in futures.items()}

    def together(self, scripts: Mapping[str, Script], ready: bytes, go: bytes, done: bytes) -> float:
        """Run one script per host that prints `ready`, waits for `go`, acts at once and prints `done`.

        The word goes out only when every host is ready; else every script finds the end of its input. Returns the
        seconds from the word to the last host's `done`. Raises as `each`.
        """
        rendezvous = _Rendezvous(len(scripts), go)

        def take_part(host: Host) -> float:
            said, finished = b"", 0.0
            try:
                for chunk in host.stream(scripts[host.name], rendezvous.word()):
                    before, said = said, said + chunk
                    if ready in said and ready not in before:
                        rendezvous.is_ready()
                    if done in said and done not in before:
                        finished = time.monotonic()
            except BaseException:
                rendezvous.call_off()
                raise
            return finished

        try:
            finished = self.each(scripts, take_part, parallel=len(scripts))
        except FleetError as error:  # the host that was not ready says more than those that it kept from acting
            raise FleetError(sorted(error.failures, key=_was_called_off)) from error
        return max(0.0, max(finished.values(), default=0.0) - rendezvous.given_at)

    def _interrupt(self, futures: Iterable[Future[T]]) -> None:
        for host in self.hosts.values():
            host.interrupt()
        wait(futures, timeout=15)
        for host in self.hosts.values():
            host.resume()

    def close(self) -> None:
        """Close every connection at the same time; one that hangs does not hold up the others."""
        threads = [threading.Thread(target=host.close, daemon=True) for host in self.hosts.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2)
