"""A server on loopback that writes down what it is told; it may refuse, or never answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Heard:
    """Requests as `GET /path`, the bodies of those that had one, and where they arrive."""

    port: int = 0
    requests: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@contextmanager
def listening(status: int = 200, silent: bool = False) -> Iterator[Heard]:
    """A server for as long as the block lasts; `silent`: it takes requests and says nothing."""
    heard, over = Heard(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.bodies.append(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())
            heard.requests.append(f"{self.command} {self.path}")
            if silent:
                over.wait(60)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the names that http.server asks for

        def log_message(self, format: str, *args: object) -> None:
            """Nobody listens."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        heard.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            server.shutdown()
            thread.join()
