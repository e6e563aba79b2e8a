"""A loopback port that leads through a host: every connection to it becomes a channel of the one SSH connection."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator

import paramiko

CHUNK = 1 << 16


@contextlib.contextmanager
def tunnel(open_transport: Callable[[], paramiko.Transport], address: str, port: int, timeout: float) -> Iterator[int]:
    """Listen on a free loopback port while the context lasts; each connection has `timeout` seconds to get through.

    The port listens before it is given out, so that the first connection cannot be too early.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        listener.settimeout(0.2)
        stop = threading.Event()
        accepting = threading.Thread(
            target=_accept, args=(listener, open_transport, (address, port), timeout, stop), daemon=True
        )
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stop.set()
            accepting.join(2)


def _accept(
    listener: socket.socket,
    open_transport: Callable[[], paramiko.Transport],
    target: tuple[str, int],
    timeout: float,
    stop: threading.Event,
) -> None:
    while not stop.is_set():
        try:
            client, origin = listener.accept()
        except TimeoutError:
            continue
        except OSError:
            return
        try:
            channel = open_transport().open_channel("direct-tcpip", target, origin, timeout=timeout)
        except (OSError, EOFError, paramiko.SSHException):
            client.close()  # whoever connected sees its connection end, and says what it was for
            continue
        threading.Thread(target=_carry, args=(client, channel, stop), daemon=True).start()


def _carry(client: socket.socket, channel: paramiko.Channel, stop: threading.Event) -> None:
    ends: list[socket.socket | paramiko.Channel] = [client, channel]
    # To close a channel says so to the host, which may be gone: that, too, is nobody's concern here.
    with contextlib.suppress(OSError, EOFError), contextlib.closing(client), contextlib.closing(channel):
        while not stop.is_set():
            ready = select.select(ends, [], [], 0.5)[0]
            if client in ready:
                data = client.recv(CHUNK)
                if not data:
                    return
                channel.sendall(data)
            if channel in ready:
                data = channel.recv(CHUNK)
                if not data:
                    return
                client.sendall(data)
