"""The kinds of users: one reads pages, one writes items, one holds a WebSocket; each stays with one host."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from fabfile.lab.browser import PATIENCE_SECONDS, Browser, Check
from fabfile.lab.tally import NO_ANSWER, Request, Tally

PAUSE_SECONDS = 0.06
ECHO_SECONDS = 0.2
HEALTH_EVERY = 4
ASSET = re.compile(rb"/assets/[\w-]+\.([0-9a-f]{12})\.(?:css|js)")
# What a server says that wants its clients to come again; 1011, for one, is a failure that was put politely.
COME_AGAIN = (CloseCode.NORMAL_CLOSURE, CloseCode.GOING_AWAY, CloseCode.SERVICE_RESTART, CloseCode.TRY_AGAIN_LATER)


class Visitor(Protocol):
    """A user who comes to a host again and again until `stop` is set."""

    def visit(self, stop: threading.Event) -> None: ...


@dataclass(frozen=True)
class Reader:
    """Opens the page with its assets, as a browser does, then lists the items and sometimes asks for health."""

    address: str
    tally: Tally
    patience: float = PATIENCE_SECONDS

    def visit(self, stop: threading.Event) -> None:
        browser = Browser(self.address, self.tally, self.patience)
        rounds = 0
        while not stop.wait(PAUSE_SECONDS):
            self._open_page(browser)
            stop.wait(PAUSE_SECONDS)
            browser.get("/api/items", check=_expect_list)
            if rounds % HEALTH_EVERY == 0 and (health := browser.get("/api/health", check=_expect_object)):
                self.tally.serve(str(json.loads(health).get("release")))
            rounds += 1
        browser.close()

    def _open_page(self, browser: Browser) -> None:
        since = self.tally.now()
        page = browser.get("/")
        for asset in ASSET.finditer(page or b""):
            browser.get(asset[0].decode(), check=_digest_check(asset[1].decode()), since=since)


@dataclass(frozen=True)
class Writer:
    """Makes an item, reads it and removes it, and looks each time whether it is the same."""

    address: str
    tally: Tally
    patience: float = PATIENCE_SECONDS

    def visit(self, stop: threading.Event) -> None:
        browser = Browser(self.address, self.tally, self.patience)
        while not stop.wait(PAUSE_SECONDS):
            self._keep_item(browser, stop)
        browser.close()

    def _keep_item(self, browser: Browser, stop: threading.Event) -> None:
        since = self.tally.now()
        item = {"name": f"traffic {secrets.token_hex(6)}", "quantity": secrets.randbelow(1000)}

        def same(body: bytes) -> str:
            found = _parsed(body)
            ok = isinstance(found, dict) and "id" in found and found.items() >= item.items()
            return "" if ok else f"another item than {item} came back: {_short(body)}"

        made = browser.ask("POST", "/api/items", 201, document=item, check=same)
        if made is None:
            return
        path = f"/api/items/{json.loads(made)['id']}"
        stop.wait(PAUSE_SECONDS)
        if browser.get(path, check=same, since=since) is None:
            return
        stop.wait(PAUSE_SECONDS)
        browser.ask("DELETE", path, 200, check=same, since=since)


@dataclass(frozen=True)
class Listener:
    """Holds a WebSocket open, has a message echoed every 0.2 s, and comes again at once when the server asks for it."""

    address: str
    tally: Tally
    patience: float = PATIENCE_SECONDS

    def visit(self, stop: threading.Event) -> None:
        while not stop.wait(PAUSE_SECONDS):
            request = self._request()
            try:
                with connect(
                    f"ws://{self.address}/ws",
                    proxy=None,
                    compression=None,
                    open_timeout=self.patience,
                    close_timeout=1,
                    ping_interval=None,
                ) as socket:
                    self.tally.count(request, "101")
                    self.tally.opened()
                    self._talk(socket, stop)
            except InvalidStatus as refused:
                status = refused.response.status_code
                self.tally.count(request, str(status), f"status {status}, not 101")
            except (OSError, EOFError, WebSocketException) as error:
                self.tally.count(request, NO_ANSWER, f"{type(error).__name__}: {error}")

    def _talk(self, socket: ClientConnection, stop: threading.Event) -> None:
        number = 0
        try:
            while not stop.is_set():
                number += 1
                socket.send(json.dumps({"type": "echo", "n": number}))
                self._await_echo(socket, number)
                self._listen(socket, ECHO_SECONDS)
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd.code in COME_AGAIN:
                self.tally.moved()
            else:
                self.tally.dropped(self._request(), f"the WebSocket was cut: {closed}")
        except (TimeoutError, ValueError) as error:
            self.tally.dropped(self._request(), str(error))

    def _await_echo(self, socket: ClientConnection, number: int) -> None:
        """Raises TimeoutError without an echo in time, ValueError when something else than our words comes back."""
        until = time.monotonic() + self.patience
        while True:
            try:
                text = socket.recv(timeout=max(until - time.monotonic(), 0))
            except TimeoutError:
                raise TimeoutError(f"no echo within {self.patience:g} s") from None
            message = _parsed(text)
            if not isinstance(message, dict) or message.get("type") in ("echo", "error"):
                break
        if message != {"type": "echo", "n": number}:
            raise ValueError(f"not our echo {number} came back: {_short(text)}")
        self.tally.echoed()

    def _listen(self, socket: ClientConnection, seconds: float) -> None:
        """Let the others' news pass by; a close is noticed the moment it comes."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                socket.recv(timeout=left)
            except TimeoutError:
                return

    def _request(self) -> Request:
        return Request("GET", "/ws", self.address, self.tally.now())


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _expect_list(body: bytes) -> str:
    return "" if isinstance(_parsed(body), list) else f"no list: {_short(body)}"


def _expect_object(body: bytes) -> str:
    return "" if isinstance(_parsed(body), dict) else f"no object: {_short(body)}"


def _digest_check(digest: str) -> Check:
    def check(body: bytes) -> str:
        found = hashlib.sha256(body).hexdigest()[: len(digest)]
        return "" if found == digest else f"the content has the hash {found}, not its name's"

    return check


def _short(text: str | bytes) -> str:
    return repr(text[:80])
