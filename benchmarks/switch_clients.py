"""Who is there while a host is switched: wrk, WebSockets that stay open, and visitors who are known by a cookie."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

CONNECTIONS = 50
SOCKETS = 20
THREADS = 4


@dataclass
class Load:
    """What wrk met: requests per second, connections that ended before an answer was whole, and bad answers."""

    per_second: float = 0.0
    resets: int = 0
    other_errors: int = 0
    bad: int = 0


@contextmanager
def wrk(address: str) -> Iterator[Load]:
    """All that 50 kept connections ask for while the block lasts; the figures are there when it has ended."""
    words = ("wrk", "-t1", f"-c{CONNECTIONS}", "-d3600s", "--timeout", "10s", f"http://{address}/")
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *words], stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    load = Load()
    try:
        yield load
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    load.per_second = float(re.findall(r"Requests/sec: +([\d.]+)", said)[0])
    for connects, reads, writes, timeouts in re.findall(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    ):
        load.resets = int(reads) + int(writes)
        load.other_errors = int(connects) + int(timeouts)
    load.bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))


@contextmanager
def sockets(address: str) -> Iterator[list[ClientConnection]]:
    """WebSockets that are open while the block lasts."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(connect(f"ws://{address}/", proxy=None, compression=None, ping_interval=None))
            for _ in range(SOCKETS)
        ]


def alive(socket: ClientConnection) -> bool:
    """Whether what is said is heard at the other end."""
    try:
        socket.send("there?")
        return socket.recv(timeout=5) == "there?"
    except (OSError, WebSocketException):
        return False


@dataclass
class Visitors:
    """`number` clients with a cookie each; a few threads ask for all of them again and again until `stop`."""

    address: str
    cookie: str
    number: int
    went_back: int = 0
    failed: int = 0
    slots: dict[int, str] = field(default_factory=dict)
    """Which slot each one got last."""
    _passes: list[int] = field(default_factory=lambda: [0] * THREADS)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def coming(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._visit, args=(number,), daemon=True) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def on_green(self) -> float:
        """The share of them on green, once each has asked anew."""
        enough = [count + 2 for count in self._passes]
        while any(count < wanted for count, wanted in zip(self._passes, enough, strict=True)):
            time.sleep(0.01)
        return sum(slot == "green" for slot in self.slots.values()) / self.number

    def _visit(self, thread: int) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=10)
        while not self._stop.is_set():
            for client in range(thread, self.number, THREADS):
                self._ask(connection, client)
            self._passes[thread] += 1

    def _ask(self, connection: http.client.HTTPConnection, client: int) -> None:
        try:
            connection.request("GET", "/", headers={"Cookie": f"{self.cookie}=visitor-{client}"})
            response = connection.getresponse()
            body = response.read()
            slot = json.loads(body)["slot"] if response.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            connection.close()
            slot = None
        with self._lock:
            if slot is None:
                self.failed += 1
                return
            self.went_back += self.slots.get(client) == "green" and slot == "blue"
            self.slots[client] = slot
