"""One keep-alive HTTP connection that behaves as a browser's does, but never asks twice."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from fabfile.lab.tally import NO_ANSWER, Request, Tally

Check = Callable[[bytes], str]
PATIENCE_SECONDS = 10.0


def as_it_is(body: bytes) -> str:
    """Accept any body."""
    return ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class KeepAlive:
    """A connection to `address` (host:port), reused until the server says or shows that it is closed."""

    def __init__(self, address: str, patience: float = PATIENCE_SECONDS) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=patience)

    def request(self, method: str, path: str, document: object = None) -> Answer:
        """Ask once, with `document` as a JSON body, and read the whole answer.

        Raises:
            OSError, http.client.HTTPException: there was no whole answer.
        """
        body = None if document is None else json.dumps(document).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            if self.closed_by_server():
                # Seen before anything was sent, it costs nobody anything: browsers open the next connection.
                self._connection.close()
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.read())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def closed_by_server(self) -> bool:
        """Whether the server has closed the open connection; False while there is none.

        Raises:
            OSError, http.client.HTTPException: it was reset, or something came that nobody had asked for.
        """
        connected: socket.socket | None = self._connection.sock
        if connected is None or not select.select([connected], [], [], 0)[0]:
            return False
        if connected.recv(1, socket.MSG_PEEK):
            raise http.client.HTTPException("the server sent something that nobody had asked for")
        return True


class Browser:
    """Asks one host and counts what comes back."""

    def __init__(self, address: str, tally: Tally, patience: float = PATIENCE_SECONDS) -> None:
        self._address = address
        self._tally = tally
        self._connection = KeepAlive(address, patience)

    def get(self, path: str, check: Check = as_it_is, since: float | None = None) -> bytes | None:
        """The body, where the status is 200 and `check` finds nothing wrong with it; else None."""
        return self.ask("GET", path, 200, check=check, since=since)

    def ask(
        self,
        method: str,
        path: str,
        expected: int,
        *,
        document: object = None,
        check: Check = as_it_is,
        since: float | None = None,
    ) -> bytes | None:
        """The body of an answer with the `expected` status that `check` says nothing against; else None.

        `since`: when what the request relies on was made, where that was earlier than now.
        """
        request = Request(method, path, self._address, self._tally.now() if since is None else since)
        try:
            answer = self._connection.request(method, path, document)
        except (OSError, http.client.HTTPException) as error:
            self._tally.count(request, NO_ANSWER, f"{type(error).__name__}: {error}")
            return None
        problem = check(answer.body) if answer.status == expected else f"status {answer.status}, not {expected}"
        self._tally.count(request, str(answer.status), problem)
        return None if problem else answer.body

    def close(self) -> None:
        self._connection.close()
