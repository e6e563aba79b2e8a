"""A visitor who never stops asking, and remembers every answer that was not 200."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType


class Visitor:
    """Asks each address in turn, GET and POST on kept connections, until the `with` block ends."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._visit, args=(address,)) for address in addresses]

    def __enter__(self) -> Visitor:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _visit(self, address: str) -> None:
        connection = http.client.HTTPConnection(address, timeout=10)
        turn = 0
        while not self._stop.wait(0.02):
            turn += 1
            try:
                connection.request("POST" if turn % 3 == 0 else "GET", "/", body="x=1" if turn % 3 == 0 else None)
                response = connection.getresponse()
                body = response.read()
                if response.status == 200:
                    self.answers[json.loads(body)["release"]] += 1
                else:
                    self.failures.append(f"{time.strftime('%X')} {address}: {response.status}")
                if response.will_close:
                    connection.close()
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{time.strftime('%X')} {address}: {type(error).__name__}: {error}")
                connection.close()
        connection.close()
