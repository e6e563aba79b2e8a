"""A WebSocket that is opened, sent messages, and listened to until the right one comes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from fabfile.errors import TurnoutError
from fabfile.wire.line import Line, Origin, connected

FAREWELL = 1.0
"""Seconds that a server has to say good-bye."""

# It logs tracebacks and what was sent; the error that we raise says what is wrong in a sentence.
LOG = logging.Logger("websocket", level=logging.CRITICAL + 1)


def converse(
    origin: Origin,
    path: str,
    headers: Mapping[str, str],
    send: Sequence[str],
    is_wanted: Callable[[str], bool] | None,
    seconds: float,
) -> str:
    """Open a WebSocket, send all messages, and wait for the one that is wanted, if any is.

    Returns why it did not come, or nothing. Raises TurnoutError where the WebSocket does not open.
    """
    named = {name.lower(): value for name, value in headers.items()}
    host = named.get("host", origin.name)
    others = {name: value for name, value in headers.items() if name.lower() != "host"}
    with connected(origin, seconds) as line:
        line.sock.settimeout(None)  # a thread of the library listens; the line is cut in time
        try:
            # The line is encrypted already where it has to be, so the library is told of a plain one.
            with connect(
                f"ws://{host}{path}",
                sock=line.sock,
                additional_headers=others,
                user_agent_header=None if "user-agent" in named else "turnout",
                compression=None,
                proxy=None,
                open_timeout=line.left,
                ping_interval=None,
                close_timeout=FAREWELL,
                logger=LOG,
            ) as socket:
                for message in send:
                    socket.send(message)
                return _awaited(socket.recv, is_wanted, line) if is_wanted else ""
        except (WebSocketException, ValueError) as error:
            if line.over:
                raise TimeoutError from None
            raise TurnoutError(_refusal(error)) from None


def _awaited(receive: Callable[[float], str | bytes], is_wanted: Callable[[str], bool], line: Line) -> str:
    heard = 0
    try:
        while True:
            message = receive(line.left)
            heard += 1
            if is_wanted(message if isinstance(message, str) else message.decode(errors="replace")):
                return ""
    except TimeoutError:
        how = f"within {line.seconds:g} s"
    except ConnectionClosed as error:
        how = f"before {_farewell(error)}"
    return f"no message with it came {how}; {heard} others did"


def _refusal(error: Exception) -> str:
    # A redirect, which is not followed, is a ValueError that was caused by the answer.
    answer = error if isinstance(error, InvalidStatus) else error.__cause__
    if isinstance(answer, InvalidStatus):
        return f"it does not open: status {answer.response.status_code}, not 101"
    if isinstance(error, ConnectionClosed):
        return _farewell(error)
    return f"it does not open: {type(error).__name__}"


def _farewell(error: ConnectionClosed) -> str:
    code = f" with code {error.rcvd.code}" if error.rcvd else ""
    return f"the server closed it{code}"
