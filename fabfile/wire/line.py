"""One connection to a server: opened, spoken over TLS where it should be, and cut when its time is over."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from fabfile.errors import TurnoutError


@dataclass(frozen=True)
class Origin:
    """A server: where it is reached from here, and what users call it (`shop.example.com:8443`)."""

    address: str
    port: int
    name: str
    tls: bool = False

    @property
    def hostname(self) -> str:
        """What its certificate has to be for."""
        return self.name.partition(":")[0]


@dataclass(frozen=True)
class Line:
    """An open connection, and when (in `time.monotonic`) it is cut; `seconds` is what it was given."""

    sock: socket.socket
    deadline: float
    seconds: float

    @property
    def left(self) -> float:
        """Seconds that are left; never less than a millisecond, which libraries would take for no limit at all."""
        return max(0.001, self.deadline - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether its time is over, so that whatever went wrong did so because it was cut."""
        return time.monotonic() >= self.deadline


@contextlib.contextmanager
def connected(origin: Origin, seconds: float) -> Iterator[Line]:
    """A connection that lasts for the block, at most so many seconds, however slowly the server dribbles.

    What goes wrong in the block is raised as TurnoutError, in words that hold nothing of what was sent.
    """
    deadline = time.monotonic() + seconds
    try:
        with contextlib.closing(_opened(origin, deadline)) as sock:
            timer = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, (sock,))
            timer.daemon = True
            timer.start()
            try:
                yield Line(sock, deadline, seconds)
            finally:
                timer.cancel()
    except (OSError, EOFError, http.client.HTTPException, ValueError) as error:
        raise TurnoutError(_reason(error, deadline, seconds)) from None


def _opened(origin: Origin, deadline: float) -> socket.socket:
    sock = socket.create_connection((origin.address, origin.port), timeout=max(0.001, deadline - time.monotonic()))
    if not origin.tls:
        return sock
    try:
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        context = ssl.create_default_context()
        return context.wrap_socket(sock, server_hostname=origin.hostname)
    except BaseException:
        sock.close()
        raise


def _cut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception, deadline: float, seconds: float) -> str:
    if isinstance(error, TimeoutError) or time.monotonic() >= deadline:
        return f"no answer within {seconds:g} s"
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"no TLS connection: {error.reason or 'the handshake failed'}"
        case socket.gaierror():
            return "its name does not resolve"
        case http.client.RemoteDisconnected() | ConnectionError() | EOFError():
            broken = "the connection was refused" if isinstance(error, ConnectionRefusedError) else ""
            return broken or "the connection ended without an answer"
        case OSError():
            return f"no connection: {(error.strerror or type(error).__name__).lower()}"
        case http.client.HTTPException():
            return "the answer is not HTTP, or broke off"
    return "the request cannot be sent like that"
