"""The S3 store behind a real proxy that answers wrongly, late or not at all: it retries, or leaves nothing."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.errors import StorageError
from fabfile.storage.port import AlreadyExists, NoConnection
from fabfile.storage.s3 import S3Store
from tests.backup_faults.faulty_proxy import Faults, Proxy

REGION = "us-east-1"
PART = 5 << 20
LARGEST = 10_000 * PART
"""Bytes: no larger object means parts of that size."""
BUCKET = "faults"
"""Its own: the moto servers of one process share what they keep."""
ALWAYS = 1000
PUT, CREATE, SEND_PART, COMPLETE = r"PUT [^?]*$", r"POST .*\?uploads", r"PUT .*partNumber=2", r"POST .*uploadId="
HEAD, ABORT, GET, LIST = "HEAD ", r"DELETE .*uploadId=", "GET .*/key", r"GET .*list-type"


@dataclass(frozen=True)
class Bench:
    """A store whose requests go through the proxy, and a client that goes around it."""

    store: S3Store
    faults: Faults
    endpoint: str
    client: Any

    def seen(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def unfinished(self) -> int:
        return len(self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []))


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
    client.create_bucket(Bucket=BUCKET)
    proxy = Proxy(Faults(moto))
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    endpoint = f"http://127.0.0.1:{proxy.server_port}"
    yield Bench(S3Store(BUCKET, REGION, endpoint, max_size=LARGEST), proxy.faults, endpoint, client)
    proxy.shutdown()
    proxy.server_close()
    thread.join()
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    for found in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        client.abort_multipart_upload(Bucket=BUCKET, Key=found["Key"], UploadId=found["UploadId"])


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
    with pytest.raises(StorageError, match=r"s3://faults/key: .*") as raised:
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


@pytest.mark.parametrize(("pattern", "size"), [(PUT, 9), (SEND_PART, 2 * PART)], ids=["put", "part"])
def test_an_object_that_the_store_cut_is_taken_back(bench: Bench, pattern: str, size: int) -> None:
    bench.faults.add(pattern, "halved")
    with pytest.raises(StorageError, match=f"{size} bytes were sent and the store has"):
        bench.store.put_stream("key", [b"x" * size])
    assert (bench.seen(), bench.unfinished()) == ([], 0)


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
    with pytest.raises(StorageError, match="s3://faults/key"):
        b"".join(bench.store.get_stream("key"))
    with pytest.raises(StorageError, match="s3://faults/key"):
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
    store = S3Store("absent", REGION, bench.endpoint, max_size=LARGEST)
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
        store = S3Store(BUCKET, REGION, endpoint, max_size=LARGEST)
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
        S3Store(BUCKET, REGION, bench.endpoint).put("key", b"")
    assert "AWS_ACCESS_KEY_ID" in raised.value.hint


def test_an_endpoint_that_is_no_url_is_refused() -> None:
    with pytest.raises(StorageError, match="backup-host"):
        S3Store(BUCKET, REGION, "backup-host")
