"""Users who hold WebSockets for hours, and come again when the server asks for it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from fabfile.lab.visitors import COME_AGAIN
from tests.load.figures import Figures, failure
from tests.load.switches import Switches

SILENCE_SECONDS = 10.0
AGAIN_SECONDS = 0.1


class Sockets:
    """`number` WebSockets, dealt out to the hosts in turn; `limit` is their slots' drain limit in seconds."""

    def __init__(self, hosts: Mapping[str, Switches], number: int, limit: float) -> None:
        self.open = 0
        self._hosts, self._number, self._limit = hosts, number, limit
        self._figures = Figures()

    def visit(self, stop: threading.Event) -> Figures:
        """Hold all of them, from one thread, until `stop` is set."""
        asyncio.run(self._hold_all(stop))
        return self._figures

    async def _hold_all(self, stop: threading.Event) -> None:
        addresses: Sequence[str] = tuple(self._hosts)
        async with asyncio.TaskGroup() as group:
            holding = [
                group.create_task(self._hold(addresses[number % len(addresses)])) for number in range(self._number)
            ]
            await asyncio.to_thread(stop.wait)
            for task in holding:
                task.cancel()

    async def _hold(self, address: str) -> None:
        while True:
            where = f"{time.strftime('%X')} {address} WebSocket"
            try:
                async with connect(
                    f"ws://{address}/ws", proxy=None, compression=None, ping_interval=None, close_timeout=1
                ) as socket:
                    self._figures += Figures(1)
                    self.open += 1
                    try:
                        # Not in one statement: `+=` takes the sum before it waits, and others add to it meanwhile.
                        ended = await self._listen(socket, address)
                        self._figures += ended
                    finally:
                        self.open -= 1
            except (OSError, EOFError, WebSocketException) as error:
                self._figures += failure(error, where)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self, socket: ClientConnection, address: str) -> Figures:
        """Hear the release that holds this socket, until it ends; how it ended."""
        release = ""
        try:
            while True:
                async with asyncio.timeout(SILENCE_SECONDS):
                    release = str(await socket.recv())
        except TimeoutError:
            where = f"{time.strftime('%X')} {address} WebSocket to {release}"
            return Figures(dropped=1, details=(f"{where}: silent for {SILENCE_SECONDS:g} s",))
        except ConnectionClosed as closed:
            return self._ended(closed, address, release)

    def _ended(self, closed: ConnectionClosed, address: str, release: str) -> Figures:
        where = f"{time.strftime('%X')} {address} WebSocket to {release}"
        asked = closed.rcvd is not None and closed.rcvd.code in COME_AGAIN
        early = self._hosts[address].early(release, time.monotonic(), self._limit)
        details = (
            *(() if asked else (f"{where}: cut: {closed}",)),
            *((f"{where}: closed before {self._limit:g} s had passed since the switch",) if early else ()),
        )
        return Figures(resets=int(not asked), dropped=int(early), moved=int(asked and not early), details=details)
