"""One HTTP request and its answer; redirects are not followed, and no cookies are kept."""

from __future__ import annotations

import http.client

from fabfile.model.smoke import Answer, Request
from fabfile.wire.line import Origin, connected

LIMIT = 4 << 20
"""Bytes of a body that are read."""


def ask(origin: Origin, request: Request, seconds: float) -> Answer:
    """Send a request and take its answer, within so many seconds. Raises TurnoutError where there is none."""
    with connected(origin, seconds) as line:
        connection = http.client.HTTPConnection(origin.name)
        connection.sock = line.sock
        headers = {"Host": origin.name, "Connection": "close", "User-Agent": "turnout", **_once(request)}
        connection.request(request.method, request.path, request.body, headers)
        with connection.getresponse() as response:
            body = response.read(LIMIT + 1)
            if line.over:  # what was cut looks like an end
                raise TimeoutError
            if response.length and len(body) <= LIMIT:
                raise http.client.IncompleteRead(b"", response.length)
            return Answer(response.status, tuple(response.getheaders()), body[:LIMIT], whole=len(body) <= LIMIT)


def _once(request: Request) -> dict[str, str]:
    """The request's headers, those that are always sent spelled as they are, so that none goes twice."""
    always = {"host": "Host", "connection": "Connection", "user-agent": "User-Agent"}
    return {always.get(name.lower(), name): value for name, value in request.headers.items()}
