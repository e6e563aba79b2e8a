"""The S3 store behind a real proxy that answers wrongly, late or not at all: it retries, or leaves nothing."""

from __future__ import annotations

import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.errors import StorageError
from fabfile.storage.port import AlreadyExists, NoConnection
from fabfile.storage.s3 import S3Store

REGION = "us-east-1"
PART = 5 << 20
ALWAYS = 1000
PUT, CREATE, SEND_PART, COMPLETE = r"PUT [^?]*$", r"POST .*\?uploads", r"PUT .*partNumber=2", r"POST .*uploadId="
HEAD, ABORT, GET, LIST = "HEAD ", r"DELETE .*uploadId=", "GET .*/key", r"GET .*list-type"
S3_ERROR = "<Error><Code>{code}</Code><Message>said the proxy</Message></Error>"


@dataclass
class Trouble:
    """What happens to the next `times` requests whose `METHOD path?query` matches."""

    pattern: str
    what: str
    times: int = 1


@dataclass
class Faults:
    """The troubles to come, shared by the proxy's threads."""

    upstream: tuple[str, int]
    troubles: list[Trouble] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, pattern: str, what: str, times: int = 1) -> None:
        self.troubles.append(Trouble(pattern, what, times))

    def take(self, line: str) -> str:
        with self.lock:
            for trouble in self.troubles:
                if trouble.times and re.search(trouble.pattern, line):
                    trouble.times -= 1
                    self.met.append(trouble.what)
                    return trouble.what
        return ""


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy in front of one server."""

    daemon_threads = True

    def __init__(self, faults: Faults) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults = faults


class Handler(BaseHTTPRequestHandler):
    """Forwards one request after another, unless a trouble comes first."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: pytest shows what failed."""

    def answer(self) -> None:
        assert isinstance(self.server, Proxy)
        what = self.server.faults.take(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if what == "cut":
            self.close_connection = True
        elif what.isdigit() or what == "html":
            self.reply(int(what) if what.isdigit() else 200, b"<html><body>hello</body></html>")
        elif what and what not in ("slow", "lost", "short"):
            self.reply(403, S3_ERROR.format(code=what).encode())
        else:
            if what == "slow":
                threading.Event().wait(1.5)
            self.forward(body, what)

    def forward(self, body: bytes, what: str) -> None:
        assert isinstance(self.server, Proxy)
        upstream = http.client.HTTPConnection(*self.server.faults.upstream)
        upstream.request(self.command, self.path, body, dict(self.headers))
        response = upstream.getresponse()
        data = response.read()
        upstream.close()
        self.close_connection = what in ("lost", "short")
        if what == "lost":
            return
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        if response.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if what == "short" else data)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer  # noqa: N815 - the names that http.server asks for


@dataclass(frozen=True)
class Bench:
    """A store whose requests go through the proxy, and a client that goes around it."""

    store: S3Store
    faults: Faults
    endpoint: str
    client: Any

    def seen(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket="backups").get("Contents", [])]

    def unfinished(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket="backups").get("Uploads", []))


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, int]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield server.get_host_and_port()
    server.stop()


@pytest.fixture
def bench(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "faults")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "faults")
    client: Any = boto3.session.Session().client("s3", region_name=REGION, endpoint_url="http://{}:{}".format(*moto))
    client.create_bucket(Bucket="backups")
    proxy = Proxy(Faults(moto))
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    endpoint = f"http://127.0.0.1:{proxy.server_port}"
    yield Bench(S3Store("backups", REGION, endpoint, part_size=PART), proxy.faults, endpoint, client)
    proxy.shutdown()
    proxy.server_close()
    thread.join()
    for found in client.list_objects_v2(Bucket="backups").get("Contents", []):
        client.delete_object(Bucket="backups", Key=found["Key"])
    for found in client.list_multipart_uploads(Bucket="backups").get("Uploads", []):
        client.abort_multipart_upload(Bucket="backups", Key=found["Key"], UploadId=found["UploadId"])


@pytest.mark.parametrize("what", ["500", "503", "cut", "slow", "lost"])
@pytest.mark.parametrize(
    ("pattern", "size"),
    [(PUT, 9), (HEAD, 9), (CREATE, 2 * PART), (SEND_PART, 2 * PART), (COMPLETE, 2 * PART)],
    ids=["put", "head", "create", "part", "complete"],
)
def test_a_passing_trouble_is_survived(bench: Bench, what: str, pattern: str, size: int) -> None:
    bench.faults.add(pattern, what)
    bench.store.put_stream("key", [b"x" * size], if_absent=True)
    assert bench.faults.met == [what]
    assert bench.store.get("key") == b"x" * size


@pytest.mark.parametrize("what", ["500", "503", "cut"])
@pytest.mark.parametrize(("pattern", "size"), [(PUT, 9), (SEND_PART, 3 * PART), (COMPLETE, 2 * PART)])
def test_a_lasting_trouble_is_told_and_leaves_nothing(bench: Bench, what: str, pattern: str, size: int) -> None:
    bench.faults.add(pattern, what, ALWAYS)
    with pytest.raises(StorageError, match=r"s3://backups/key: .*") as raised:
        bench.store.put_stream("key", [b"x" * size])
    assert bench.endpoint in raised.value.fact
    assert raised.value.hint
    assert len(bench.faults.met) == 4
    assert (bench.seen(), bench.unfinished()) == ([], 0)


@pytest.mark.parametrize(("pattern", "size"), [(PUT, 9), (COMPLETE, 2 * PART)], ids=["put", "complete"])
def test_an_object_whose_every_answer_was_lost_is_known_again(bench: Bench, pattern: str, size: int) -> None:
    bench.faults.add(pattern, "lost", ALWAYS)
    bench.store.put_stream("key", [b"x" * size], if_absent=True)
    assert bench.seen() == ["key"]


def test_another_writers_object_is_not_taken_for_ours(bench: Bench) -> None:
    bench.store.put("key", b"theirs")
    bench.faults.add(PUT, "500")
    with pytest.raises(AlreadyExists):
        bench.store.put("key", b"theirs", if_absent=True)


def test_an_abort_that_fails_is_told_beside_the_first_error(bench: Bench) -> None:
    bench.faults.add(SEND_PART, "500", ALWAYS)
    bench.faults.add(ABORT, "503", ALWAYS)
    with pytest.raises(StorageError, match=r"answered upload_part with 500") as raised:
        bench.store.put_stream("key", [b"x" * 2 * PART])
    assert re.search(r"unfinished upload \S+ is still there: .*503", str(raised.value))
    assert bench.seen() == []


def test_an_abort_that_fails_does_not_hide_the_producers_death(bench: Bench) -> None:
    death = RuntimeError("pg_dump ended with status 1")

    def producer() -> Iterator[bytes]:
        yield b"x" * (PART + 1)
        raise death

    bench.faults.add(ABORT, "503", ALWAYS)
    with pytest.raises(RuntimeError) as raised:
        bench.store.put_stream("key", producer())
    assert raised.value is death
    assert "unfinished upload" in death.__notes__[0]
    assert bench.seen() == []


@pytest.mark.parametrize("size", [9, 3 << 20])
def test_a_download_that_ends_early_is_an_error(bench: Bench, size: int) -> None:
    bench.store.put("key", b"x" * size)
    bench.faults.add(GET, "short", ALWAYS)
    with pytest.raises(StorageError, match="s3://backups/key"):
        b"".join(bench.store.get_stream("key"))
    with pytest.raises(StorageError, match="s3://backups/key"):
        bench.store.get("key")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        ("AccessDenied", "bucket policy"),
        ("RequestTimeTooSkewed", "clock"),
    ],
)
def test_a_refusal_is_told_with_its_remedy(bench: Bench, code: str, hint: str) -> None:
    bench.faults.add(".", code, ALWAYS)
    for attempt in (lambda: bench.store.put("key", b""), lambda: list(bench.store.list(""))):
        with pytest.raises(StorageError, match=f"refused .*403 {code}") as raised:
            attempt()
        assert hint in raised.value.hint


@pytest.mark.parametrize("pattern", [LIST, CREATE, PUT, "."])
def test_a_server_that_is_no_s3_is_not_believed(bench: Bench, pattern: str) -> None:
    bench.faults.add(pattern, "html", ALWAYS)
    size = 2 * PART if pattern == CREATE else 9
    with pytest.raises(StorageError):
        list(bench.store.list("")) if pattern == LIST else bench.store.put("key", b"x" * size)


def test_a_bucket_that_is_not_there_is_named(bench: Bench) -> None:
    store = S3Store("absent", REGION, bench.endpoint, part_size=PART)
    for attempt in (
        lambda: store.put("key", b""),
        lambda: store.put("key", b"x" * 2 * PART),
        lambda: store.get("key"),
        lambda: list(store.list("")),
    ):
        with pytest.raises(StorageError, match=r"s3://absent/.*NoSuchBucket") as raised:
            attempt()
        assert "create the bucket" in raised.value.hint


def test_an_endpoint_that_is_closed_is_named_quickly(bench: Bench) -> None:
    with socket.socket() as reserved:  # bound and not listening: connections are refused, and nobody else gets the port
        reserved.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        store = S3Store("backups", REGION, endpoint, part_size=PART)
        start = time.monotonic()
        with pytest.raises(NoConnection, match=re.escape(endpoint)):
            store.put_stream("key", [b"x" * 2 * PART])
        assert time.monotonic() - start < 30


def test_missing_credentials_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    with pytest.raises(StorageError, match="no credentials") as raised:
        S3Store("backups", REGION, bench.endpoint).put("key", b"")
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(StorageError, match="backup-host"):
        S3Store("backups", REGION, "backup-host")
