"""The users of the lab against small real servers that behave well, and badly in every way that matters."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from websockets.sync.server import ServerConnection, serve

from fabfile.lab.browser import KeepAlive
from fabfile.lab.tally import Snapshot
from fabfile.lab.traffic import Traffic

STYLE = b"body { color: teal }"
DIGEST = hashlib.sha256(STYLE).hexdigest()[:12]
ASSET = f"/assets/app.{DIGEST}.css"


class Shop(ThreadingHTTPServer):
    """The stock list in little; `mood` says how it behaves at the moment."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Counter)
        self.mood = "well"
        self.connections = 0
        self.asked: list[str] = []
        self.items: dict[int, dict[str, object]] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Counter(BaseHTTPRequestHandler):
    """One connection to the shop."""

    protocol_version = "HTTP/1.1"
    server: Shop

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def log_message(self, format: str, *values: object) -> None:
        """A test's output is its own."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, f'<link href="{ASSET}">'.encode())
        elif self.path == ASSET:
            self.answer(200, b"something else" if self.server.mood == "stale assets" else STYLE)
        elif self.path == "/api/health":
            self.answer(200, b'{"status": "ok", "release": "r1"}')
        elif self.path == "/api/items":
            self.answer(200, b"[]")
        elif self.path == "/ws":
            self.answer(404, b"")
        else:
            self.item(self.server.items.get(self.number))

    def do_POST(self) -> None:
        item = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        number = len(self.server.asked)
        if self.server.mood == "forgetful":
            item["quantity"] += 1
        elif self.server.mood != "empties":
            self.server.items[number] = {"id": number, **item}
        self.answer(201, json.dumps({"id": number, **item}).encode())

    def do_DELETE(self) -> None:
        self.item(self.server.items.pop(self.number, None))

    @property
    def number(self) -> int:
        return int(self.path.rpartition("/")[2])

    def item(self, item: dict[str, object] | None) -> None:
        self.answer(200 if item else 404, json.dumps(item).encode())

    def answer(self, status: int, body: bytes) -> None:
        mood = self.server.mood
        self.server.asked.append(f"{self.command} {self.path}")
        if mood == "silent":
            self.close_connection = True
            return
        self.send_response(503 if mood == "down" else status)
        self.send_header("Content-Length", str(len(body) + 1 if mood == "cut off" else len(body)))
        if mood == "parting":
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = mood in ("cut off", "parting", "closes later")


@pytest.fixture
def shop() -> Iterator[Shop]:
    server = Shop()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@contextmanager
def echo_server(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(talk, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


def until(traffic: Traffic, enough: Callable[[Snapshot], bool]) -> None:
    """Wait for what the figures must show at last."""
    end = time.monotonic() + 10
    while not enough(traffic.snapshot()):
        assert time.monotonic() < end, f"never enough: {traffic.snapshot()}"
        time.sleep(0.01)


def test_a_healthy_host_fails_nobody_and_keeps_its_connections(shop: Shop) -> None:
    with Traffic([shop.address], readers=2, writers=1, listeners=0) as traffic:
        until(traffic, lambda found: found.requests > 40 and found.releases.get("r1", 0) > 1)
    found = traffic.snapshot()
    assert found.failed == 0, found.failures
    assert set(found.statuses) == {"200", "201"}
    assert shop.connections == 3
    assert f"GET {ASSET}" in shop.asked


def test_visitors_are_dealt_out_to_every_host(shop: Shop) -> None:
    second = Shop()
    thread = threading.Thread(target=second.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with Traffic([shop.address, second.address], readers=2, writers=0, listeners=0) as traffic:
        until(traffic, lambda found: found.requests > 10)
    second.shutdown()
    thread.join()
    second.server_close()
    assert (shop.connections, second.connections) == (1, 1)


@pytest.mark.parametrize(
    ("mood", "reason"),
    [
        ("cut off", "IncompleteRead"),
        ("silent", "RemoteDisconnected"),
        ("down", "status 503, not 20"),
        ("forgetful", "another item"),
        ("empties", "status 404, not 200"),
        ("stale assets", "not its name's"),
    ],
)
def test_what_a_user_would_complain_about_is_a_failure(shop: Shop, mood: str, reason: str) -> None:
    shop.mood = mood
    with Traffic([shop.address], readers=1, writers=1, listeners=0) as traffic:
        until(traffic, lambda found: any(reason in failure.what for failure in found.failures))
    assert traffic.snapshot().failed > 0


def test_nobody_listening_is_a_failure(shop: Shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with Traffic([address], readers=1, writers=0, listeners=1) as traffic:
        until(traffic, lambda found: {"/", "/ws"} <= {failure.path for failure in found.failures})
    found = traffic.snapshot()
    assert found.failed == found.requests
    assert set(found.statuses) == {"no answer"}


def test_an_answer_that_does_not_come_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with Traffic([address], readers=1, writers=0, listeners=0, patience=0.1) as traffic:
            until(traffic, lambda found: found.failed > 0)
    assert "timed out" in traffic.snapshot().failures[0].what


def test_an_announced_close_is_no_failure(shop: Shop) -> None:
    shop.mood = "parting"
    with Traffic([shop.address], readers=1, writers=1, listeners=0) as traffic:
        until(traffic, lambda found: found.requests > 10)
    assert traffic.snapshot().failed == 0
    assert shop.connections > 5


def test_a_close_seen_before_the_request_is_no_failure(shop: Shop) -> None:
    shop.mood = "closes later"
    connection = KeepAlive(shop.address)
    for _ in range(3):
        assert connection.request("GET", "/api/items").status == 200
        end = time.monotonic() + 10
        while not connection.closed_by_server():
            assert time.monotonic() < end, "the server never closed"
            time.sleep(0.001)
    connection.close()
    assert shop.connections == 3


def test_a_request_that_was_sent_is_never_sent_again(shop: Shop) -> None:
    connection = KeepAlive(shop.address)
    connection.request("GET", "/api/items")
    shop.mood = "silent"
    with pytest.raises(http.client.RemoteDisconnected):
        connection.request("GET", "/")
    assert shop.asked == ["GET /api/items", "GET /"]
    shop.mood = "well"
    assert connection.request("GET", "/api/items").status == 200
    connection.close()


def test_an_outage_is_counted_apart_and_ends(shop: Shop) -> None:
    with Traffic([shop.address], readers=2, writers=1, listeners=0) as traffic:
        until(traffic, lambda found: found.requests > 5)
        with traffic.outage():
            shop.mood = "down"
            until(traffic, lambda found: found.outage.statuses.get("503", 0) > 5)
            shop.mood = "well"
            shop.items.clear()
            answered = traffic.snapshot().outage.statuses.get("201", 0)
            until(traffic, lambda found: found.outage.statuses.get("201", 0) > answered)
        apart = traffic.snapshot()
        until(traffic, lambda found: found.requests > apart.requests + 20)
        assert traffic.snapshot().failed == 0, traffic.snapshot().failures
        shop.mood = "down"
        until(traffic, lambda found: found.failed > 0)
    assert traffic.snapshot().outage.seconds == apart.outage.seconds > 0


def test_an_echo_per_turn_is_counted_and_a_stop_is_no_drop() -> None:
    def talk(client: ServerConnection) -> None:
        client.send('{"type": "hello", "release": "r1"}')
        for message in client:
            client.send('{"type": "item", "action": "created"}')
            client.send(message)

    with echo_server(talk) as address, Traffic([address], readers=0, writers=0, listeners=2) as traffic:
        until(traffic, lambda found: found.sockets.echoes >= 4)
    found = traffic.snapshot()
    assert (found.sockets.opened, found.sockets.moved, found.sockets.dropped, found.failed) == (2, 0, 0, 0)


@pytest.mark.parametrize("code", [1001, 1012])
def test_a_socket_that_is_asked_to_come_again_has_moved(code: int) -> None:
    def talk(client: ServerConnection) -> None:
        client.send(client.recv())
        client.close(code, "service restart")

    with echo_server(talk) as address, Traffic([address], readers=0, writers=0, listeners=1) as traffic:
        until(traffic, lambda found: found.sockets.moved > 1)
    found = traffic.snapshot()
    assert (found.sockets.dropped, found.failed) == (0, 0)
    assert found.sockets.opened >= found.sockets.moved


def cut(client: ServerConnection) -> None:
    client.recv()
    client.socket.shutdown(socket.SHUT_RDWR)


def stumble(client: ServerConnection) -> None:
    client.recv()
    client.close(1011, "internal error")


def garble(client: ServerConnection) -> None:
    client.recv()
    client.send('{"type": "echo", "n": -1}')
    client.recv()


def ignore(client: ServerConnection) -> None:
    for _ in client:
        pass


@pytest.mark.parametrize(
    ("talk", "reason"),
    [(cut, "no close frame"), (stumble, "1011"), (garble, "not our echo"), (ignore, "no echo within 0.3 s")],
)
def test_a_socket_that_is_lost_otherwise_was_dropped(talk: Callable[[ServerConnection], None], reason: str) -> None:
    with (
        echo_server(talk) as address,
        Traffic([address], readers=0, writers=0, listeners=1, patience=0.3) as traffic,
    ):
        until(traffic, lambda found: found.sockets.dropped > 0)
    found = traffic.snapshot()
    assert found.sockets.moved == 0
    assert found.failures[0].path == "/ws"
    assert reason in found.failures[0].what


def test_a_refused_socket_is_a_failed_request_with_its_status(shop: Shop) -> None:
    shop.mood = "down"
    with Traffic([shop.address], readers=0, writers=0, listeners=1) as traffic:
        until(traffic, lambda found: found.failed > 0)
    found = traffic.snapshot()
    assert (found.sockets.opened, set(found.statuses)) == (0, {"503"})


def test_an_error_of_a_visitor_itself_is_not_kept_quiet() -> None:
    traffic = Traffic(["127.0.0.1:not-a-port"], readers=1, writers=0, listeners=0)
    traffic.start()
    with pytest.raises(http.client.InvalidURL):
        traffic.stop()
