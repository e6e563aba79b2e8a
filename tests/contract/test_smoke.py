"""Smoke tests against real servers on loopback: HTTP, WebSocket and TCP, plain and over TLS, quick, slow and rude."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from fabfile.errors import TurnoutError
from fabfile.model.smoke import Request
from fabfile.wire.http import LIMIT, ask
from fabfile.wire.line import Origin
from fabfile.wire.tcp import exchange
from fabfile.wire.websocket import converse

SLOW = 0.5


class Handler(BaseHTTPRequestHandler):
    """Tells what it was asked, under paths that misbehave."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        match self.path:
            case "/dribble":
                self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
                with_patience(lambda: self.wfile.write(b"x"))
            case "/headers":
                with_patience(lambda: self.wfile.write(b"HTTP/1.1 200 OK\r\n"[:1]))
            case "/silent":
                time.sleep(4 * SLOW)
            case "/rude":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "/noise":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            case "/short":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            case "/huge":
                self.answer(200, b"1" * (LIMIT + 10))
            case "/away":
                self.answer(302, b"", Location="/")
            case _:
                told = {"method": self.command, "path": self.path, "body": body, "headers": self.headers.items()}
                self.answer(200, json.dumps(told).encode(), X_Twice="1")
        self.close_connection = True

    do_POST = do_HEAD = do_DELETE = do_GET  # noqa: N815 - the names that http.server asks for

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody listens."""


def with_patience(send: Callable[[], object]) -> None:
    """Something now and then, for longer than anybody waits."""
    for _ in range(20):
        try:
            send()
        except OSError:
            return
        time.sleep(SLOW / 5)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no news."""


@contextmanager
def answering(context: ssl.SSLContext | None = None) -> Iterator[int]:
    with Quiet(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    with answering() as port:
        yield Origin("127.0.0.1", port, "shop.example.com")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost that nobody vouches for, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(pem))
    return path


@pytest.fixture(scope="module")
def served(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def get(path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Request:
    return Request(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def failure(origin: Origin, path: str, seconds: float = SLOW) -> str:
    began = time.monotonic()
    with pytest.raises(TurnoutError) as caught:
        ask(origin, get(path), seconds)
    assert time.monotonic() - began < seconds + 10
    assert caught.value.__cause__ is None
    return caught.value.fact


def test_a_request_arrives_as_it_was_meant_and_its_answer_whole(origin: Origin) -> None:
    answer = ask(origin, get("/a?b=c", "POST", b"x=1", Authorization="Bearer t", Host="other", user_agent="me"), 10)
    told = json.loads(answer.body)
    assert (answer.status, answer.whole, answer.header("x-twice")) == (200, True, ["1", "1"])
    assert (told["method"], told["path"], told["body"]) == ("POST", "/a?b=c", "x=1")
    headers = {name.lower(): value for name, value in told["headers"]}
    assert headers["authorization"] == "Bearer t"
    assert (headers["host"], headers["user-agent"], headers["connection"]) == ("other", "me", "close")
    assert len(headers) == len(told["headers"]), "no header twice"


def test_the_server_hears_the_name_that_users_know(origin: Origin) -> None:
    told = dict(json.loads(ask(origin, get("/"), 10).body)["headers"])
    assert told["Host"] == "shop.example.com"


def test_other_methods_and_redirects_are_answers_like_any(origin: Origin) -> None:
    assert ask(origin, get("/", "HEAD"), 10).body == b""
    assert json.loads(ask(origin, get("/", "DELETE"), 10).body)["method"] == "DELETE"
    away = ask(origin, get("/away"), 10)
    assert (away.status, away.header("Location")[0]) == (302, "/")


def test_a_body_that_is_too_long_is_cut(origin: Origin) -> None:
    answer = ask(origin, get("/huge"), 30)
    assert (len(answer.body), answer.whole) == (LIMIT, False)


@pytest.mark.parametrize("path", ["/dribble", "/headers", "/silent"])
def test_a_server_that_takes_too_long_is_left_in_time(origin: Origin, path: str) -> None:
    assert failure(origin, path) == f"no answer within {SLOW:g} s"


def test_a_server_that_breaks_off_is_told(origin: Origin) -> None:
    assert failure(origin, "/rude", 10) == "the connection ended without an answer"
    assert failure(origin, "/noise", 10) == "the answer is not HTTP, or broke off"
    assert failure(origin, "/short", 10) == "the answer is not HTTP, or broke off"


def test_nobody_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(Origin("127.0.0.1", port, "x"), "/", 10) == "the connection was refused"
    assert failure(Origin("no-such-host.invalid", 80, "x"), "/", 30) == "its name does not resolve"


def test_a_secret_that_cannot_be_sent_is_not_told(origin: Origin) -> None:
    with pytest.raises(TurnoutError) as caught:
        ask(origin, get("/", X="hunter2\r\nY: z"), 10)
    assert caught.value.fact == "the request cannot be sent like that"
    assert "hunter2" not in repr(caught.value.__cause__) + str(caught.value)


def test_a_certificate_has_to_be_trusted_and_of_that_name(
    certificate: Path, served: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(served) as port:
        untrusted = failure(Origin("127.0.0.1", port, f"localhost:{port}", tls=True), "/", 10)
        assert untrusted.startswith("its certificate is not trusted: self")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusted = Origin("127.0.0.1", port, f"localhost:{port}", tls=True)
        assert dict(json.loads(ask(trusted, get("/"), 10).body)["headers"])["Host"] == f"localhost:{port}"
        other = failure(Origin("127.0.0.1", port, "shop.example.com", tls=True), "/", 10)
        assert "its certificate is not trusted: Hostname mismatch" in other


def test_a_plain_server_is_no_tls_server(origin: Origin) -> None:
    plain = Origin(origin.address, origin.port, "localhost", tls=True)
    assert failure(plain, "/", 10).startswith("no TLS connection: ")


async def talk(connection: ServerConnection) -> None:
    request = connection.request
    assert request is not None
    with contextlib.suppress(ConnectionClosed):
        await connection.send(json.dumps({"path": request.path, "host": request.headers["Host"]}))
        await connection.send(request.headers.get("Authorization", "nobody"))
        async for message in connection:
            if message in ("leave", "break"):
                await connection.close(4001 if message == "leave" else 1000)
                return
            await connection.send(message)
            await connection.send(b"bytes of " + str(message).encode())


@contextmanager
def talking(context: ssl.SSLContext | None = None) -> Iterator[int]:
    async def serving() -> None:
        async with serve(talk, "127.0.0.1", 0, ssl=context) as server:
            over = asyncio.Event()
            told.put((asyncio.get_running_loop(), over, next(iter(server.sockets)).getsockname()[1]))
            await over.wait()

    told: queue.SimpleQueue[tuple[asyncio.AbstractEventLoop, asyncio.Event, int]] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: asyncio.run(serving()))
    thread.start()
    loop, over, port = told.get(timeout=20)
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


@pytest.fixture(scope="module")
def socket_origin() -> Iterator[Origin]:
    with talking() as port:
        yield Origin("127.0.0.1", port, "shop.example.com:8443")


def test_a_websocket_opens_by_its_name_takes_messages_and_gives_the_one_that_is_wanted(socket_origin: Origin) -> None:
    def said(send: list[str], wanted: str) -> str:
        headers = {"Authorization": "Bearer t"}
        return converse(socket_origin, "/live?a=b", headers, send, lambda text: wanted in text, 10)

    assert said([], '{"path": "/live?a=b", "host": "shop.example.com:8443"}') == ""
    assert said([], "Bearer t") == ""
    assert said(["one", "two"], "two") == ""
    assert said(["x"], "bytes of x") == ""


def test_a_websocket_that_opens_is_enough_where_nothing_is_expected(socket_origin: Origin) -> None:
    assert converse(socket_origin, "/", {"Host": "other"}, ["x"], None, 10) == ""
    assert converse(socket_origin, "/", {"Host": "other"}, [], lambda text: '"host": "other"' in text, 10) == ""


def test_a_message_that_does_not_come_is_told_with_the_reason(socket_origin: Origin) -> None:
    why = converse(socket_origin, "/", {}, ["a"], lambda text: text == "b", SLOW)
    assert why == f"no message with it came within {SLOW:g} s; 4 others did"
    why = converse(socket_origin, "/", {}, ["leave"], lambda text: text == "b", 10)
    assert why == "no message with it came before the server closed it with code 4001; 2 others did"
    why = converse(socket_origin, "/", {}, ["break"], lambda text: text == "b", 10)
    assert why == "no message with it came before the server closed it with code 1000; 2 others did"


def test_a_server_without_websockets_is_told(origin: Origin, capfd: pytest.CaptureFixture[str]) -> None:
    def refused(path: str, seconds: float = 10) -> str:
        with pytest.raises(TurnoutError) as caught:
            converse(origin, path, {"Authorization": "hunter2"}, [], None, seconds)
        return caught.value.fact

    assert refused("/") == "it does not open: status 200, not 101"
    assert refused("/away") == "it does not open: status 302, not 101"
    assert refused("/silent", SLOW) == f"no answer within {SLOW:g} s"
    assert "it does not open" in refused("/noise")
    written = capfd.readouterr()
    assert "hunter2" not in written.out + written.err


def test_a_websocket_goes_over_tls(certificate: Path, served: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with talking(served) as port:
        found = Origin("127.0.0.1", port, f"localhost:{port}", tls=True)
        for _ in range(20):
            assert converse(found, "/", {}, ["x"], lambda text: text == "x", 10) == ""
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(TurnoutError, match="its certificate is not trusted"):
            converse(found, "/", {}, ["x"], None, 10)


@pytest.fixture
def echo() -> Iterator[Origin]:
    """Answers one text per connection: a banner, then what it got, then nothing."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one() -> None:
        try:
            while True:
                client, _ = listener.accept()
                with client:
                    client.sendall(b"220 ready\r\n")
                    if data := client.recv(100):
                        client.sendall(b"got ")
                        time.sleep(0.1)
                        client.sendall(data)
                    if data == b"stay":
                        time.sleep(3 * SLOW)
        except OSError:
            return

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    yield Origin("127.0.0.1", listener.getsockname()[1], "x")
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_a_port_answers_in_pieces(echo: Origin) -> None:
    assert exchange(echo, "PING\r\n", lambda text: "got PING\r\n" in text, 10) == ""
    assert exchange(echo, "", lambda text: "220" in text, 10) == ""
    assert exchange(echo, "", None, 10) == ""


def test_a_port_that_says_something_else_is_told_when_it_is_over(echo: Origin) -> None:
    assert exchange(echo, "x", lambda text: "PONG" in text, 10) == "it did not come before the end; 16 bytes did"
    why = exchange(echo, "stay", lambda text: "PONG" in text, SLOW)
    assert why == f"it did not come within {SLOW:g} s; 19 bytes did"
