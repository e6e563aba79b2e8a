"""A bucket is set up on moto's S3 and the lab's: shown first, changed once, and whatever a store lacks is said."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from moto.server import ThreadedMotoServer

from fabfile.errors import StorageError
from fabfile.planning.bucket import Finding, Unknown, Wanted
from fabfile.storage.bucket import bucket_findings, mend, observe
from fabfile.storage.s3 import S3Store

REGION = "us-east-1"
WANTED = Wanted("turnout", None, lock=None, deleted=30, infrequent_after=None, glacier_after=None)
TIERED = replace(WANTED, infrequent_after=30, glacier_after=90)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "contract", "AWS_SECRET_ACCESS_KEY": "contract"}


@pytest.fixture(scope="module")
def moto() -> Iterator[dict[str, str]]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield {**CREDENTIALS, "S3_ENDPOINT": "http://{}:{}".format(*server.get_host_and_port())}
    server.stop()


@pytest.fixture(scope="module", params=["moto", pytest.param("lab", marks=pytest.mark.lab)])
def environment(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    found = request.getfixturevalue("moto" if request.param == "moto" else "lab")
    words = found if isinstance(found, dict) else found.environment
    with pytest.MonkeyPatch.context() as patch:
        for name in CREDENTIALS:
            patch.setenv(name, words[name])
        yield words


@pytest.fixture
def store(environment: dict[str, str]) -> S3Store:
    """A bucket that does not exist yet."""
    return S3Store(f"bucket-{uuid.uuid4().hex}", REGION, environment["S3_ENDPOINT"])


def differing(found: tuple[Finding, ...]) -> list[str]:
    return [finding.setting for finding in found if finding.state == "differs"]


def test_looking_changes_nothing(store: S3Store) -> None:
    first = bucket_findings(store, WANTED)
    assert "bucket" in differing(first)
    assert bucket_findings(store, WANTED) == first


def test_a_bucket_is_made_and_has_everything_that_the_store_can_do(store: S3Store) -> None:
    assert mend(store, WANTED) == ((), ())
    after = bucket_findings(store, WANTED)
    assert differing(after) == []
    states = {finding.setting: finding.state for finding in after}
    assert (states["bucket"], states["versioning"], states["lifecycle"]) == ("fine", "fine", "fine")
    assert mend(store, WANTED) == ((), ())
    assert list(store.list("")) == []


def test_a_bucket_made_with_locks_has_them_and_lets_backups_be_replaced_and_deleted(store: S3Store) -> None:
    aim = replace(WANTED, lock=1)
    assert mend(store, aim) == ((), ())
    assert differing(bucket_findings(store, aim)) == []
    assert [f.now for f in bucket_findings(store, aim) if f.setting == "object lock"] == ["GOVERNANCE for 1 d"]
    for content in (b"first", b"second"):
        store.put("turnout/demo/manifest.json", content)
    assert store.get("turnout/demo/manifest.json") == b"second"
    store.delete("turnout/demo/manifest.json")
    assert list(store.list("turnout/")) == []


def test_a_lock_that_comes_too_late_is_refused_with_the_way_to_get_one(store: S3Store) -> None:
    mend(store, WANTED)
    store.put("turnout/first", b"x")
    _, refused = mend(store, replace(WANTED, lock=1))
    for line in refused:  # AWS, and newer servers, do it; older ones and moto do not
        assert line.startswith("object lock: ")
        assert "name a bucket that does not exist yet" in line


def test_rules_of_others_survive_and_ours_follows_the_configuration(store: S3Store) -> None:
    mend(store, WANTED)
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 9}}
    store.ask("put_bucket_lifecycle_configuration", {"LifecycleConfiguration": {"Rules": [theirs]}})
    assert differing(bucket_findings(store, WANTED)) == ["lifecycle"]
    assert mend(store, WANTED) == ((), ())
    assert differing(bucket_findings(store, WANTED)) == []
    assert differing(bucket_findings(store, replace(WANTED, deleted=7))) == ["lifecycle"]
    rules = store.ask("get_bucket_lifecycle_configuration", {})["Rules"]
    assert [rule["ID"] for rule in rules] == ["theirs", "turnout:turnout"]
    assert rules[0]["Expiration"] == {"Days": 9}


@pytest.mark.parametrize("environment", ["moto"], indirect=True)
def test_storage_classes_come_and_go_with_the_configuration(store: S3Store) -> None:
    mend(store, WANTED)
    assert differing(bucket_findings(store, TIERED)) == ["lifecycle"]
    assert mend(store, TIERED) == ((), ())
    assert differing(bucket_findings(store, TIERED)) == []
    mend(store, WANTED)
    assert differing(bucket_findings(store, WANTED)) == []


Answer = Callable[[str, str, str], tuple[int, bytes]]
LISTED = b'<?xml version="1.0"?><ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>'


@contextmanager
def simple_server(answer: Answer) -> Iterator[tuple[S3Store, list[str]]]:
    """A store of few talents: `answer` gets method, path and query; what it was asked to set is written down."""
    changes: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            path, _, query = self.path.partition("?")
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            query = query.split("=")[0]
            if self.command == "PUT" and query:
                changes.append(query)
            status, body = answer(self.command, path, query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_PUT = do_HEAD = respond  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        try:
            yield S3Store("bucket", REGION, f"http://127.0.0.1:{server.server_port}"), changes
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def refusal(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((405, refusal("MethodNotAllowed")), "unsupported"),
        ((400, refusal("NotImplemented")), "unsupported"),
        ((403, refusal("AccessDenied")), "hidden"),
    ],
)
def test_a_store_that_has_none_of_it_says_so_and_is_asked_for_nothing(answer: tuple[int, bytes], state: str) -> None:
    with simple_server(lambda method, path, query: (200, b"") if method == "HEAD" else answer) as (store, changes):
        found = bucket_findings(store, replace(WANTED, lock=14))
    assert {finding.setting: finding.state for finding in found} == {
        "bucket": "fine",
        **dict.fromkeys(("versioning", "public access", "encryption", "object lock", "lifecycle"), state),
        "tiers": "unsupported",
    }
    assert not any(finding.request for finding in found)
    assert changes == []


def test_an_answer_to_another_question_is_not_taken_for_an_unset_setting() -> None:
    with simple_server(lambda method, path, query: (200, LISTED)) as (store, _):
        state = observe(store)
    for seen in (state.public_access, state.encryption, state.lock, state.lifecycle):
        assert isinstance(seen, Unknown)


def test_a_change_that_is_refused_does_not_keep_the_others_from_being_made_nor_a_lockout_from_being_told() -> None:
    def answer(method: str, path: str, query: str) -> tuple[int, bytes]:
        if method == "HEAD" and path == "/bucket":
            return 200, b""
        if method == "GET":
            return 404, refusal("NoSuchConfiguration")
        refused = {"encryption": (501, refusal("NotImplemented")), "versioning": (403, refusal("AccessDenied"))}
        return refused.get(query, (200, b"") if query else (403, refusal("AccessDenied")))

    with simple_server(answer) as (store, changes), pytest.raises(StorageError, match=r"turnout/setup: .* put_object"):
        mend(store, WANTED)
    assert sorted(changes) == ["encryption", "lifecycle", "publicAccessBlock", "versioning"]


def test_a_store_that_lets_nobody_in_is_an_error() -> None:
    with (
        simple_server(lambda method, path, query: (403, b"")) as (store, _),
        pytest.raises(StorageError, match="refused head_bucket"),
    ):
        bucket_findings(store, WANTED)
