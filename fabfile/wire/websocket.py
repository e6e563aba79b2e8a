"""A WebSocket that is opened, sent messages, and listened to until the right one comes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

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
    with connected(replace(origin, tls=False), seconds) as line:
        line.sock.setblocking(False)
        # The library's other client reads and writes one TLS connection from two threads, and hangs now and then.
        talk = _converse(line, origin, path, headers, send, is_wanted)
        try:
            return asyncio.run(talk)
        except OSError:  # an untrusted certificate is a ValueError as well
            raise
        except (WebSocketException, LookupError, ValueError) as error:
            if line.over:
                raise TimeoutError from None
            raise TurnoutError(_refusal(error)) from None


async def _converse(
    line: Line,
    origin: Origin,
    path: str,
    headers: Mapping[str, str],
    send: Sequence[str],
    is_wanted: Callable[[str], bool] | None,
) -> str:
    named = {name.lower(): value for name, value in headers.items()}
    async with connect(
        f"{'wss' if origin.tls else 'ws'}://{named.get('host', origin.name)}{path}",
        sock=line.sock,
        server_hostname=origin.hostname if origin.tls else None,
        additional_headers={name: value for name, value in headers.items() if name.lower() != "host"},
        user_agent_header=None if "user-agent" in named else "turnout",
        compression=None,
        proxy=None,
        open_timeout=line.left,
        ping_interval=None,
        close_timeout=FAREWELL,
        logger=LOG,
    ) as socket:
        for message in send:
            await socket.send(message)
        return await _awaited(socket, is_wanted, line) if is_wanted else ""


async def _awaited(socket: ClientConnection, is_wanted: Callable[[str], bool], line: Line) -> str:
    heard = 0
    try:
        async with asyncio.timeout(line.left):
            async for message in socket:
                heard += 1
                if is_wanted(message if isinstance(message, str) else message.decode(errors="replace")):
                    return ""
            how = f"before {_farewell(socket.close_code)}"
    except TimeoutError:
        how = f"within {line.seconds:g} s"
    except ConnectionClosed as error:
        how = f"within {line.seconds:g} s" if line.over else f"before {_farewell(_code(error))}"
    return f"no message with it came {how}; {heard} others did"


def _refusal(error: Exception) -> str:
    # A redirect, which is not followed, is another error that has the answer behind it.
    for answer in (error, error.__cause__, error.__context__):
        if isinstance(answer, InvalidStatus):
            return f"it does not open: status {answer.response.status_code}, not 101"
    if isinstance(error, ConnectionClosed):
        return _farewell(_code(error))
    return f"it does not open: {type(error).__name__}"


def _code(closed: ConnectionClosed) -> int | None:
    return closed.rcvd.code if closed.rcvd else None


def _farewell(code: int | None) -> str:
    return "the server closed it" + (f" with code {code}" if code else "")
