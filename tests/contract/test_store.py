"""One contract for every backup store: a folder, moto's S3 over HTTP, and the lab's S3."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fabfile.errors import StorageError
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import AlreadyExists, NotFound, Store, Stored
from fabfile.storage.s3 import S3Store

REGION = "us-east-1"
PART = 5 << 20
LARGEST = 10_000 * PART
"""Bytes: no larger object means parts of that size."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "contract", "AWS_SECRET_ACCESS_KEY": "contract"}


@dataclass(frozen=True)
class Place:
    """A store to test, a prefix of one's own in it, and how to count what unfinished uploads have left there."""

    store: Store
    prefix: str
    unfinished: Callable[[], int]
    client: Any = None
    """For S3: boto3's own, beside the store."""
    endpoint: str = ""

    def beside(self, **words: Any) -> S3Store:
        """Another adapter on the same bucket."""
        return S3Store("backups", REGION, self.endpoint, **{"max_size": LARGEST, **words})

    def keys(self, below: str = "") -> list[str]:
        """The listed keys without the prefix."""
        return [found.key.removeprefix(self.prefix) for found in self.store.list(self.prefix + below)]


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    client: Any = boto3.session.Session(*CREDENTIALS.values()).client("s3", region_name=REGION, endpoint_url=endpoint)
    client.create_bucket(Bucket="backups")
    yield {**CREDENTIALS, "S3_ENDPOINT": endpoint}
    server.stop()


def over_s3(environment: dict[str, str]) -> Iterator[Place]:
    with pytest.MonkeyPatch.context() as patch:
        for name in CREDENTIALS:
            patch.setenv(name, environment[name])
        endpoint = environment["S3_ENDPOINT"]
        client: Any = boto3.session.Session().client("s3", region_name=REGION, endpoint_url=endpoint)
        store = S3Store("backups", REGION, endpoint, max_size=LARGEST)

        def unfinished() -> int:
            return len(client.list_multipart_uploads(Bucket="backups").get("Uploads", []))

        yield Place(store, "", unfinished, client, endpoint)


@pytest.fixture(scope="module", params=["directory", "moto", pytest.param("lab", marks=pytest.mark.lab)])
def root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "directory":
        folder = tmp_path_factory.mktemp("store")
        yield Place(DirectoryStore(folder), "", lambda: len(list((folder / ".incoming").glob("*"))))
    elif request.param == "moto":
        yield from over_s3(request.getfixturevalue("moto"))
    else:
        yield from over_s3(request.getfixturevalue("lab").environment)


@pytest.fixture
def place(root: Place) -> Place:
    return replace(root, prefix=f"contract/{uuid.uuid4().hex}/")


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def in_chunks(data: bytes, size: int = 65_537) -> Iterator[bytes]:
    yield b""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def dying(data: bytes, error: BaseException) -> Iterator[bytes]:
    yield from in_chunks(data)
    raise error


@pytest.mark.parametrize("size", [0, 1, PART - 1, PART, PART + 1, 3 * PART + 7])
def test_a_stream_comes_back_as_it_went_in(place: Place, size: int) -> None:
    data, key = content(size), f"{place.prefix}stream"
    assert place.store.put_stream(key, in_chunks(data)) == Stored(key, size, sha256(data).hexdigest())
    assert place.store.get(key) == data
    assert sha256(b"".join(place.store.get_stream(key))).digest() == sha256(data).digest()
    assert [found.size for found in place.store.list(key)] == [size]
    assert place.unfinished() == 0


def test_one_chunk_longer_than_several_parts_is_cut(place: Place) -> None:
    data = content(2 * PART + 1)
    place.store.put(f"{place.prefix}whole", data)
    assert place.store.get(f"{place.prefix}whole") == data


def test_a_put_replaces_what_was_there(place: Place) -> None:
    place.store.put(f"{place.prefix}key", b"first")
    place.store.put(f"{place.prefix}key", b"second")
    assert place.store.get(f"{place.prefix}key") == b"second"


@pytest.mark.parametrize("size", [5, PART + 5])
def test_a_conditional_put_leaves_what_is_there(place: Place, size: int) -> None:
    key = f"{place.prefix}key"
    place.store.put_stream(key, in_chunks(content(size)), if_absent=True)
    with pytest.raises(AlreadyExists, match="key: exists already"):
        place.store.put_stream(key, in_chunks(content(size + 1)), if_absent=True)
    assert place.store.get(key) == content(size)
    assert place.unfinished() == 0


def test_of_eight_conditional_puts_at_once_exactly_one_wins(place: Place) -> None:
    start = threading.Barrier(8)

    def attempt(writer: int) -> bool:
        start.wait(10)
        try:
            place.store.put(f"{place.prefix}lease", b"writer %d" % writer, if_absent=True)
        except AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(attempt, range(8)))
    assert won.count(True) == 1
    assert place.store.get(f"{place.prefix}lease") == b"writer %d" % won.index(True)


@pytest.mark.parametrize("size", [0, 1000, PART, 2 * PART + PART // 2])
@pytest.mark.parametrize("error", [BrokenPipeError("pg_dump died"), KeyboardInterrupt()], ids=["died", "interrupt"])
def test_a_producer_that_dies_leaves_nothing(place: Place, size: int, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised:
        place.store.put_stream(f"{place.prefix}dump", dying(content(size), error))
    assert raised.value is error
    assert place.keys() == []
    assert place.unfinished() == 0


def test_a_producer_that_dies_leaves_the_older_object(place: Place) -> None:
    place.store.put(f"{place.prefix}dump", b"yesterday")
    with pytest.raises(RuntimeError):
        place.store.put_stream(f"{place.prefix}dump", dying(content(PART + 1), RuntimeError()))
    assert place.store.get(f"{place.prefix}dump") == b"yesterday"


@pytest.mark.parametrize("root", ["moto", pytest.param("lab", marks=pytest.mark.lab)], indirect=True)
@pytest.mark.parametrize("longer", [1, 2 * PART])
def test_a_stream_longer_than_the_largest_object_is_refused_and_taken_back(place: Place, longer: int) -> None:
    small = place.beside(max_size=2 * PART)
    small.put_stream(f"{place.prefix}fits", in_chunks(content(2 * PART)))
    with pytest.raises(StorageError, match=r"is longer than backup\.max_size, 10 MiB"):
        small.put_stream(f"{place.prefix}dump", in_chunks(content(2 * PART + longer)))
    assert place.keys() == ["fits"]
    assert place.unfinished() == 0


ENCRYPTIONS = [
    ({"encryption": "s3"}, "AES256", ""),
    ({"encryption": "kms", "kms_key": "arn:aws:kms:us-east-1:123456789012:key/k"}, "aws:kms", "key/k"),
]


@pytest.mark.parametrize("root", ["moto"], indirect=True)
@pytest.mark.parametrize("size", [5, PART + 5])
@pytest.mark.parametrize(("words", "method", "key"), ENCRYPTIONS)
def test_a_store_is_asked_to_encrypt(place: Place, words: dict[str, str], method: str, key: str, size: int) -> None:
    store = place.beside(**words)
    store.put_stream(f"{place.prefix}key", in_chunks(content(size)))
    head = place.client.head_object(Bucket="backups", Key=f"{place.prefix}key")
    assert head["ServerSideEncryption"] == method
    assert head.get("SSEKMSKeyId", "").endswith(key)
    assert store.get(f"{place.prefix}key") == content(size)


@pytest.mark.parametrize("root", ["moto"], indirect=True)
@pytest.mark.parametrize("size", [5, 2 * PART + 5])
def test_a_store_that_knows_crcs_keeps_them(place: Place, size: int) -> None:
    store = place.beside(checksums="always")
    store.put_stream(f"{place.prefix}key", in_chunks(content(size)))
    found = place.client.head_object(Bucket="backups", Key=f"{place.prefix}key", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" in found
    assert store.get(f"{place.prefix}key") == content(size)


@pytest.mark.slow
@pytest.mark.parametrize("root", ["directory", "moto"], indirect=True)
def test_more_than_a_page_of_keys_is_listed_in_order(place: Place) -> None:
    keys = [f"many/{number * 7 % 1009:04}/object" for number in range(1009)]
    for key in keys:
        place.store.put(place.prefix + key, b"")
    assert place.keys() == sorted(keys)
    assert len(list(place.store.prefixes(f"{place.prefix}many/"))) == 1009


def test_keys_are_ordered_by_their_bytes(place: Place) -> None:
    keys = ["a/b", "a-b", "a0", "B", "a", "é", "zz", "\uffee", "\U0001d11e"]
    if isinstance(place.store, DirectoryStore):
        keys.remove("a")  # a folder cannot be a file too
    for key in keys:
        place.store.put(place.prefix + key, b"")
    assert place.keys() == sorted(keys, key=str.encode)


def test_a_listing_tells_size_and_time_in_utc(place: Place) -> None:
    place.store.put(f"{place.prefix}key", b"12345")
    (found,) = place.store.list(place.prefix)
    assert (found.key, found.size, found.modified.tzinfo) == (f"{place.prefix}key", 5, UTC)
    assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=1)


def test_a_prefix_is_any_beginning_of_a_key(place: Place) -> None:
    for key in ("app/1/a", "app/10/a", "apple/1/a"):
        place.store.put(place.prefix + key, b"")
    assert place.keys("app/1") == ["app/1/a", "app/10/a"]
    assert place.keys("app") == ["app/1/a", "app/10/a", "apple/1/a"]
    assert place.keys("nothing/") == []


def test_prefixes_are_the_folders_directly_below(place: Place) -> None:
    for key in ("app/1/dump", "app/1/files/x", "app/2/dump", "app/manifest", "other/3/dump"):
        place.store.put(place.prefix + key, b"")
    assert list(place.store.prefixes(f"{place.prefix}app/")) == [f"{place.prefix}app/1/", f"{place.prefix}app/2/"]
    assert list(place.store.prefixes(f"{place.prefix}none/")) == []


def test_an_absent_object_is_not_found(place: Place) -> None:
    with pytest.raises(NotFound, match="absent"):
        place.store.get(f"{place.prefix}absent")
    with pytest.raises(NotFound, match="absent"):
        place.store.get_stream(f"{place.prefix}absent")


def test_a_deleted_object_is_gone_and_an_absent_one_is_fine(place: Place) -> None:
    place.store.put(f"{place.prefix}key", b"")
    place.store.delete(f"{place.prefix}key")
    place.store.delete(f"{place.prefix}key")
    assert place.keys() == []


@pytest.mark.parametrize("key", ["two words", "1+1=2", "a%20b", "Zürich/日本/🚢", "q?a&b#c", "'\"<>", "~.-_", "..."])
def test_an_odd_key_is_kept_as_it_is(place: Place, key: str) -> None:
    place.store.put(place.prefix + key, key.encode())
    assert place.keys() == [key]
    assert place.store.get(place.prefix + key) == key.encode()
    place.store.delete(place.prefix + key)
    assert place.keys() == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/", "a/./b", "a\nb", "\udc80"])
def test_a_key_that_leads_astray_is_refused(place: Place, key: str) -> None:
    for refuse in (lambda: place.store.put(key, b""), lambda: place.store.get(key), lambda: place.store.delete(key)):
        with pytest.raises(StorageError, match="cannot be a key"):
            refuse()
