"""What users met: every answer counted, every failure kept with its reason, announced outages apart."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

KEPT_FAILURES = 20
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Request:
    """One request; `since` is when what it relies on began, in seconds since the tally did."""

    method: str
    path: str
    host: str
    since: float


@dataclass(frozen=True)
class Failure:
    """What went wrong for a user, `seconds` after the start."""

    seconds: float
    method: str
    path: str
    host: str
    what: str

    def __str__(self) -> str:
        return f"{self.seconds:7.2f} s  {self.host} {self.method} {self.path}: {self.what}"


@dataclass(frozen=True)
class Sockets:
    """WebSockets: `moved` ones were closed by the server with a frame that says so, `dropped` ones were not."""

    opened: int = 0
    echoes: int = 0
    moved: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Outage:
    """Announced outages together: their length, and what was answered meanwhile, by status or `no answer`."""

    seconds: float
    statuses: Mapping[str, int]


@dataclass(frozen=True)
class Snapshot:
    """The figures of one moment; `failed` leaves out what happened during an outage, the rest leaves out nothing."""

    seconds: float
    requests: int
    failed: int
    statuses: Mapping[str, int]
    releases: Mapping[str, int]
    sockets: Sockets
    outage: Outage
    failures: tuple[Failure, ...]


class Tally:
    """Counts from any thread. `clock` counts seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._lock = threading.Lock()
        self._failed = 0
        self._statuses: Counter[str] = Counter()
        self._releases: Counter[str] = Counter()
        self._meanwhile: Counter[str] = Counter()
        self._sockets = Sockets()
        self._failures: list[Failure] = []
        self._over: list[tuple[float, float]] = []
        self._since: float | None = None

    def now(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    def count(self, request: Request, status: str, problem: str = "") -> None:
        """Count one request that ended now; with a `problem` it failed, unless an outage touched it."""
        with self._lock:
            self._statuses[status] += 1
            if self._touched(request.since):
                self._meanwhile[status] += 1
            elif problem:
                self._failed += 1
                self._keep(request, problem)

    def serve(self, release: str) -> None:
        """Count an answer that named its release."""
        with self._lock:
            self._releases[release] += 1

    def opened(self) -> None:
        with self._lock:
            self._sockets = replace(self._sockets, opened=self._sockets.opened + 1)

    def echoed(self) -> None:
        with self._lock:
            self._sockets = replace(self._sockets, echoes=self._sockets.echoes + 1)

    def moved(self) -> None:
        with self._lock:
            self._sockets = replace(self._sockets, moved=self._sockets.moved + 1)

    def dropped(self, request: Request, problem: str) -> None:
        """Count a WebSocket that was cut, during an outage too: no outage is a reason for that."""
        with self._lock:
            self._sockets = replace(self._sockets, dropped=self._sockets.dropped + 1)
            self._keep(request, problem)

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Users are known to be without service in here: what they are answered is counted apart."""
        with self._lock:
            assert self._since is None, "an outage is on already"
            self._since = self.now()
        try:
            yield
        finally:
            with self._lock:
                self._over.append((self._since, self.now()))
                self._since = None

    def snapshot(self) -> Snapshot:
        with self._lock:
            now = self.now()
            lasting = now - self._since if self._since is not None else 0.0
            return Snapshot(
                seconds=now,
                requests=self._statuses.total(),
                failed=self._failed,
                statuses=dict(sorted(self._statuses.items())),
                releases=dict(self._releases),
                sockets=self._sockets,
                outage=Outage(
                    sum(end - begin for begin, end in self._over) + lasting, dict(sorted(self._meanwhile.items()))
                ),
                failures=tuple(self._failures),
            )

    def _touched(self, since: float) -> bool:
        return self._since is not None or any(since <= end for _, end in self._over)

    def _keep(self, request: Request, problem: str) -> None:
        if len(self._failures) < KEPT_FAILURES:
            self._failures.append(Failure(self.now(), request.method, request.path, request.host, problem))
