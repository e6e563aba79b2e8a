"""Users who never leave: readers, writers and WebSockets on every host while deploys happen, counted honestly."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import cycle, islice
from types import TracebackType

from fabfile.lab.browser import PATIENCE_SECONDS
from fabfile.lab.tally import Snapshot, Tally
from fabfile.lab.visitors import Listener, Reader, Visitor, Writer


class Traffic:
    """About 140 requests and echoes per second in all, from start to stop.

    `addresses` are host:port of each web host's nginx; the visitors are dealt out to them in turn. A failure is any
    answer that a user would complain about, and any request that was sent and got none within `patience` seconds;
    nothing is asked twice. A connection that the server closed between two requests is opened anew and is none.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        readers: int = 3,
        writers: int = 2,
        listeners: int = 4,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._tally = Tally()
        self._stop = threading.Event()
        self._running: list[Future[None]] = []
        self._visitors: list[Visitor] = [
            kind(address, self._tally, patience)
            for kind, number in ((Reader, readers), (Writer, writers), (Listener, listeners))
            for address in islice(cycle(addresses), number)
        ]

    def start(self) -> None:
        pool = ThreadPoolExecutor(len(self._visitors), "traffic")
        self._running = [pool.submit(visitor.visit, self._stop) for visitor in self._visitors]
        pool.shutdown(wait=False)

    def stop(self) -> Snapshot:
        """Let every visitor finish what is in flight; an error in a visitor itself is raised here."""
        self._stop.set()
        for visit in self._running:
            visit.result()
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        """The figures so far."""
        return self._tally.snapshot()

    def outage(self) -> AbstractContextManager[None]:
        """What is answered to requests that touch this stretch is counted apart, and never as failed."""
        return self._tally.outage()

    def __enter__(self) -> Traffic:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
