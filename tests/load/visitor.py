"""A visitor who asks one host again and again on a kept connection, GET and POST, and never twice for the same."""

from __future__ import annotations

import http.client
import json
import threading
import time
from dataclasses import dataclass

from fabfile.lab.browser import KeepAlive
from tests.load.figures import Figures, failure
from tests.load.switches import Switches

POST_EVERY = 3


@dataclass(frozen=True)
class Visitor:
    """`pause` seconds between an answer and the next request; one visitor of each host tells its `switches`."""

    address: str
    pause: float
    switches: Switches | None = None

    def visit(self, stop: threading.Event) -> Figures:
        """Ask until `stop` is set."""
        connection, figures, turn = KeepAlive(self.address), Figures(), 0
        while not stop.wait(self.pause):
            turn += 1
            figures += self._ask(connection, "POST" if turn % POST_EVERY == 0 else "GET")
        connection.close()
        return figures

    def _ask(self, connection: KeepAlive, method: str) -> Figures:
        asked, where = time.monotonic(), f"{time.strftime('%X')} {self.address} {method}"
        try:
            answer = connection.request(method, "/", {"name": "signal flags"} if method == "POST" else None)
        except (OSError, http.client.HTTPException) as error:
            return failure(error, where)
        if answer.status != 200:
            return Figures(1, failed=1, details=(f"{where}: status {answer.status}",))
        if self.switches:
            self.switches.saw(json.loads(answer.body)["release"], asked)
        return Figures(1)
