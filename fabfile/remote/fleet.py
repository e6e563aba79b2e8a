"""Several hosts at once: bounded parallelism, every host finishes, every failure is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from fabfile.errors import FleetError, Interrupted, TurnoutError
from fabfile.remote.port import Host

T = TypeVar("T")
PARALLEL = 32


class Fleet:
    """The hosts of one run."""

    def __init__(self, hosts: Mapping[str, Host]) -> None:
        self.hosts = dict(hosts)

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def each(self, names: Iterable[str], do: Callable[[Host], T]) -> dict[str, T]:
        """What `do` returned, by host. Raises FleetError with all failures once every host has finished.

        On Ctrl-C what runs on the hosts is ended first, then KeyboardInterrupt goes on.
        """
        chosen = sorted(names)
        with ThreadPoolExecutor(max_workers=max(1, min(PARALLEL, len(chosen)))) as pool:
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
