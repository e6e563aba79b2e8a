"""Every count of the load against servers that behave badly in the way that it counts."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from websockets.sync.server import ServerConnection, serve

from tests.load.figures import KEPT_DETAILS, Figures, is_cut
from tests.load.sockets import Sockets
from tests.load.switches import Switches
from tests.load.visitor import Visitor
from tests.load.wrk import parse

WRK = """Running 120m test @ http://10.99.1.11:80/
  1 threads and 8 connections
  4 requests in 2.10s, 1.20KB read
  Socket errors: connect 1, read 2, write 3, timeout 0
{"requests": 40, "connect": 1, "read": 2, "write": 3, "status": 5, "timeout": 7}
"""
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"release": "r1"}'
SICK = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


def asked(connection: socket.socket) -> bool:
    """Whether a whole request came; a body comes apart from its headers, and ends with a brace."""
    text = b""
    while not text.endswith((b"\r\n\r\n", b"}")) or (text.startswith(b"POST") and text.endswith(b"\n")):
        if not (piece := connection.recv(4096)):
            return False
        text += piece
    return True


@contextmanager
def server(answers: list[bytes], *, reset: bool) -> Iterator[str]:
    """Gives each connection these answers, and then ends it while the next request waits for its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def talk() -> None:
            while not stop.is_set():
                connection, _ = listener.accept()
                with connection:
                    for answer in answers:
                        if asked(connection):
                            connection.sendall(answer)
                    asked(connection)
                    if reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        thread = threading.Thread(target=talk)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        stop.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join()


@contextmanager
def web_socket_server(talk: Callable[[ServerConnection], None]) -> Iterator[str]:
    with serve(talk, "127.0.0.1", 0) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"127.0.0.1:{listening.socket.getsockname()[1]}"
        listening.shutdown()
        thread.join()


def stopping(seconds: float) -> threading.Event:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    return stop


def left(seconds_ago: float) -> Switches:
    """A host that was seen to leave r1 for r2."""
    switches = Switches()
    switches.saw("r1", time.monotonic() - seconds_ago)
    switches.saw("r2", time.monotonic())
    return switches


def test_what_wrk_says_is_counted_by_kind() -> None:
    found = parse("10.99.1.11:80", WRK)
    assert (found.requests, found.failed, found.resets) == (46, 18, 5)
    assert found.details == ("10.99.1.11:80 wrk: connect 1, read 2, write 3, status 5, timeout 7",)


def test_a_wrk_that_met_nothing_bad_is_clean() -> None:
    found = parse("h1", '{"requests": 9, "connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0}\n')
    assert found == Figures(requests=9)
    assert found.clean


def test_figures_add_up_and_read_as_one_line() -> None:
    found = sum((Figures(1, 1, 1, 1, 1, ("x",)) for _ in range(50)), Figures(requests=5))
    assert str(found) == ("requests 55, failed 50, connection resets 50, sockets dropped before their drain limit 50")
    assert len(found.details) == KEPT_DETAILS
    assert not found.clean


@pytest.mark.parametrize("bad", [Figures(failed=1), Figures(resets=1), Figures(dropped=1)])
def test_one_of_any_kind_is_too_many(bad: Figures) -> None:
    assert not (Figures(requests=9) + bad).clean


def test_a_connection_that_was_never_there_is_not_cut() -> None:
    assert not is_cut(ConnectionRefusedError())
    assert not is_cut(TimeoutError())
    assert is_cut(http.client.RemoteDisconnected("ended"))
    assert is_cut(http.client.IncompleteRead(b"half"))


def test_a_cut_below_another_error_is_one() -> None:
    error = ValueError("no answer")
    error.__cause__ = EOFError()
    assert is_cut(error)


@pytest.mark.parametrize(("answers", "reset"), [([OK], True), ([OK], False), ([], True)])
def test_a_kept_connection_that_ends_under_a_request_is_a_reset(answers: list[bytes], reset: bool) -> None:
    with server(answers, reset=reset) as address:
        found = Visitor(address, 0.01).visit(stopping(0.3))
    assert found.failed == found.resets > 0


def test_a_wrong_status_is_a_failure_and_no_reset() -> None:
    with server([SICK] * 1000, reset=False) as address:
        found = Visitor(address, 0.01).visit(stopping(0.3))
    assert found.failed == found.requests > 1
    assert found.resets == 0


def test_good_answers_are_requests_and_tell_the_switch() -> None:
    switches = Switches()
    with server([OK] * 1000, reset=False) as address:
        found = Visitor(address, 0.01, switches).visit(stopping(0.3))
    assert found.requests > 1
    assert found.clean
    assert switches.count == 0
    assert switches.early("r1", time.monotonic(), 0.0)


def test_the_limit_counts_from_the_last_request_that_the_old_release_answered() -> None:
    switches = Switches()
    for release, asked in (("r1", 10.0), ("r1", 11.0), ("r2", 12.0), ("r2", 13.0)):
        switches.saw(release, asked)
    assert switches.count == 1
    assert switches.early("r1", 15.9, 5.0)
    assert not switches.early("r1", 16.0, 5.0)
    assert switches.early("r2", 99.0, 5.0)
    assert switches.early("never seen", 99.0, 5.0)


def test_a_release_that_came_back_may_not_be_left_on_its_former_limit() -> None:
    switches = Switches()
    for release, asked in (("r1", 10.0), ("r2", 20.0), ("r1", 30.0), ("r2", 40.0)):
        switches.saw(release, asked)
    assert switches.early("r1", 34.9, 5.0)
    assert not switches.early("r1", 35.0, 5.0)


def say_and_close(client: ServerConnection) -> None:
    client.send("r1")
    client.close(1001)


def say_and_cut(client: ServerConnection) -> None:
    client.send("r1")
    client.socket.shutdown(socket.SHUT_RDWR)


def test_a_socket_asked_to_leave_after_the_limit_has_moved() -> None:
    with web_socket_server(say_and_close) as address:
        found = Sockets({address: left(10)}, 2, limit=5).visit(stopping(0.3))
    assert found.moved > 0
    assert found.clean


def test_a_socket_asked_to_leave_before_the_limit_was_dropped() -> None:
    with web_socket_server(say_and_close) as address:
        found = Sockets({address: left(1)}, 2, limit=5).visit(stopping(0.3))
    assert found.dropped > 0
    assert found.moved == found.resets == 0


def test_a_socket_cut_after_the_limit_is_a_reset() -> None:
    with web_socket_server(say_and_cut) as address:
        found = Sockets({address: left(10)}, 2, limit=5).visit(stopping(0.3))
    assert found.resets > 0
    assert found.moved == found.dropped == 0


def test_a_socket_that_is_not_let_in_is_a_failure() -> None:
    with server([SICK], reset=False) as address:
        found = Sockets({address: left(10)}, 1, limit=5).visit(stopping(0.3))
    assert found.failed == found.requests > 0
    assert found.resets == 0
