"""Every kind of user on every host at once, from start to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from types import TracebackType

from tests.load.figures import Figures
from tests.load.sockets import Sockets
from tests.load.switches import Switches
from tests.load.visitor import Visitor
from tests.load.wrk import Wrk

QUICK_SECONDS = 0.02
# Longer than nginx keeps a connection to the application (4 s), shorter than it keeps one to a user (75 s).
SLOW_SECONDS = 4.5
SLOW_VISITORS = 4
OPEN_WITHIN_SECONDS = 20


class Load:
    """In its block every host has a wrk, a quick visitor, slow ones, and its part of the WebSockets.

    `limit` is the drain limit in seconds. When the block ends `figures` is the sum of what all of them met; an error
    in a visitor itself is raised.
    """

    def __init__(self, addresses: Sequence[str], limit: float, sockets: int) -> None:
        self.figures = Figures()
        self.switches = {address: Switches() for address in addresses}
        self._sockets, self._number = Sockets(self.switches, sockets, limit), sockets
        self._visitors: list[Visitor | Sockets] = [
            self._sockets,
            *(Visitor(address, QUICK_SECONDS, told) for address, told in self.switches.items()),
            *(Visitor(address, SLOW_SECONDS) for address in addresses for _ in range(SLOW_VISITORS)),
        ]
        self._stop = threading.Event()
        self._ending = ExitStack()

    def __enter__(self) -> Load:
        with ExitStack() as ending:
            pool = ending.enter_context(ThreadPoolExecutor(len(self._visitors), "load"))
            running = [pool.submit(visitor.visit, self._stop) for visitor in self._visitors]
            ending.callback(self._collect, running)
            ending.callback(self._stop.set)
            for address in self.switches:
                ending.callback(self._end_wrk, Wrk.start(address))
            self._wait_for_sockets()
            self._ending = ending.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def _wait_for_sockets(self) -> None:
        until = time.monotonic() + OPEN_WITHIN_SECONDS
        while self._sockets.open < self._number:
            assert time.monotonic() < until, f"only {self._sockets.open} of {self._number} WebSockets are open"
            time.sleep(0.05)

    def _end_wrk(self, wrk: Wrk) -> None:
        self.figures += wrk.stop()

    def _collect(self, running: list[Future[Figures]]) -> None:
        for visit in running:
            self.figures += visit.result()
