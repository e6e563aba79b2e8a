"""A tunnel whose SSH connection is gone: whoever uses it sees the end of its own connection, and no thread dies."""

from __future__ import annotations

import socket
import threading
from typing import Any, cast

import paramiko

from fabfile.remote.tunnel import tunnel


class Gone:
    """A channel whose host ends it and is then not there to be told that it is closed, as Paramiko says it."""

    def __init__(self) -> None:
        self._ours, self._hosts = socket.socketpair()
        self._hosts.close()

    def fileno(self) -> int:
        return self._ours.fileno()

    def recv(self, size: int) -> bytes:
        return self._ours.recv(size)

    def close(self) -> None:
        self._ours.close()
        raise EOFError


class Transport:
    def open_channel(self, *_: object, **__: object) -> Gone:
        return Gone()


def test_a_channel_that_cannot_be_closed_ends_its_connection_and_nothing_else() -> None:
    died: list[Any] = []
    before, threading.excepthook = threading.excepthook, died.append
    try:
        with tunnel(lambda: cast(paramiko.Transport, Transport()), "127.0.0.1", 5432, 1) as port:
            for _ in range(2):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as user:
                    assert user.recv(1) == b""
    finally:
        threading.excepthook = before
    assert died == []
