"""A real HTTP proxy on loopback that answers wrongly, late or not at all where a test asks for it."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

S3_ERROR = "<Error><Code>{code}</Code><Message>said the proxy</Message></Error>"


@dataclass
class Trouble:
    """What happens to the next `times` requests whose `METHOD path?query` matches; `meanwhile` is called first.

    Until it returns every other request waits: who has more to send than travels at once has not ended by then.
    """

    pattern: str
    what: str
    times: int = 1
    meanwhile: Callable[[], None] = lambda: None


@dataclass
class Faults:
    """The troubles to come, shared by the proxy's threads."""

    upstream: tuple[str, int]
    troubles: list[Trouble] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pattern: str, what: str, times: int = 1) -> None:
        self.troubles.append(Trouble(pattern, what, times))

    def at(self, pattern: str, happens: Callable[[], None]) -> None:
        """Let something happen elsewhere while the next such request is under way, which is forwarded as it is."""
        self.troubles.append(Trouble(pattern, "", 1, happens))

    def clear(self) -> None:
        """No trouble is to come, and none was met."""
        self.troubles.clear()
        self.met.clear()

    def take(self, line: str) -> str:
        with self.lock:
            found = next((one for one in self.troubles if one.times and re.search(one.pattern, line)), None)
            if found is None:
                return ""
            found.times -= 1
            self.met.append(found.what)
            found.meanwhile()
        return found.what


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy in front of one server."""

    daemon_threads = True

    def __init__(self, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = faults


class Handler(BaseHTTPRequestHandler):
    """Forwards one request after another, unless a trouble comes first."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: pytest shows what failed."""

    def answer(self) -> None:
        assert isinstance(self.server, Proxy)
        what = self.server.faults.take(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if what == "cut":
            self.close_connection = True
        elif what.isdigit() or what == "html":
            self.reply(int(what) if what.isdigit() else 200, b"<html><body>hello</body></html>")
        elif what and what not in ("slow", "lost", "short", "halved"):
            self.reply(403, S3_ERROR.format(code=what).encode())
        else:
            if what == "slow":
                threading.Event().wait(1.5)
            self.forward(body, what)

    def forward(self, body: bytes, what: str) -> None:
        assert isinstance(self.server, Proxy)
        upstream = http.client.HTTPConnection(*self.server.faults.upstream)
        body = body[: len(body) // 2] if what == "halved" else body
        headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
        upstream.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        response = upstream.getresponse()
        data = response.read()
        upstream.close()
        self.close_connection = what in ("lost", "short")
        if what == "lost":
            return
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if response.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if what == "short" else data)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the names that http.server asks for
