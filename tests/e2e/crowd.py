"""Many clients, each with a cookie of its own, who ask every host at a steady pace; what each of them got is kept."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from types import TracebackType

COOKIE = "sid"
AT_ONCE = 6
"""Connections to each address; a client's requests all go over one of them."""


class Crowd:
    """Asks each address with `clients` different cookies in turn, `rate` times a second, until `with` ends."""

    def __init__(self, addresses: Sequence[str], clients: int = 600, rate: float = 150.0) -> None:
        self.served: dict[str, list[str]] = defaultdict(list)
        """By cookie and address: the releases that answered, one after the other, repetitions left out."""
        self.answers: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self._clients, self._pause = clients, AT_ONCE / rate
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._ask, args=(address, first))
            for address in addresses
            for first in range(AT_ONCE)
        ]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, address: str, first: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        due = time.monotonic()
        for turn in itertools.count(first, AT_ONCE):
            due += self._pause
            if self._stop.wait(max(0.0, due - time.monotonic())):
                break
            client = f"c{turn % self._clients}"
            try:
                connection.request("GET", "/", headers={"Cookie": f"{COOKIE}={client}"})
                response = connection.getresponse()
                release = json.loads(response.read())["release"]
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{address}: {type(error).__name__}: {error}")
                connection.close()
                continue
            with self._lock:
                self.statuses[response.status] += 1
                self.answers[release] += 1
                seen = self.served[f"{address} {client}"]
                if not seen or seen[-1] != release:
                    seen.append(release)
        connection.close()


def ask(address: str, cookie: str) -> str:
    """The release that answers somebody with this Cookie header."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", "/", headers={"Cookie": cookie})
        return str(json.loads(connection.getresponse().read())["release"])
    finally:
        connection.close()
