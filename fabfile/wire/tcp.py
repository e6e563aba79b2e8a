"""A plain connection that takes a text and answers with one."""

from __future__ import annotations

from collections.abc import Callable

from fabfile.wire.line import Origin, connected

LIMIT = 1 << 20
"""Bytes that are listened to."""


def exchange(origin: Origin, send: str, is_wanted: Callable[[str], bool] | None, seconds: float) -> str:
    """Connect, send the text, and read until what is wanted has come; without that, connecting is enough.

    Returns why it did not come, or nothing. Raises TurnoutError where there is no connection, or no end in time.
    """
    with connected(origin, seconds) as line:
        line.sock.settimeout(line.left)
        line.sock.sendall(send.encode(errors="replace"))
        heard = b""
        while is_wanted and not is_wanted(heard.decode(errors="replace")):
            line.sock.settimeout(line.left)
            try:
                data = line.sock.recv(1 << 16) if len(heard) < LIMIT else b""
            except TimeoutError:
                data = b""
            heard += data
            if not data:
                how = f"within {line.seconds:g} s" if line.over else "before the end"
                return f"it did not come {how}; {len(heard)} bytes did"
    return ""
