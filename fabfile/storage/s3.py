"""The backup store on S3 and servers that speak like it: requests, listings, and every failure in plain words."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from pathlib import Path
from typing import Any

import boto3.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from fabfile.errors import StorageError
from fabfile.storage.port import AlreadyExists, Listed, NoConnection, NotFound, Stored, checked
from fabfile.storage.upload import Terms, Upload

MIB = 1 << 20
TIB = 1 << 40
ATTEMPTS = 4
CONNECT_SECONDS = 5
"""Four attempts and the pauses between them stay below 30 seconds when nobody answers."""
READ_SECONDS = 60

FAILURES = (BotoCoreError, ClientError, ResponseParserError, HTTPError, ValueError)
NO_CONNECTION = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError, SSLError)
NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    ProfileNotFound,
)
RIGHTS = "check the credentials and the bucket policy: get, put, list, delete and abort are needed"
CHECKSUMS = {"always": "when_supported", "when_required": "when_required"}
"""Our words, and botocore's for the same."""
REGION = "correct the region in the configuration"
HINTS = {
    "NoSuchBucket": "create the bucket, or correct its name in the configuration",
    "InvalidBucketName": "correct the bucket's name in the configuration",
    "AccessDenied": RIGHTS,
    "403": RIGHTS,
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
    "ExpiredToken": "log in again: the session has expired",
    "InvalidObjectState": "it is in an archive class: bring it back first: aws s3api restore-object",
    "RequestTimeTooSkewed": "set this machine's clock",
    "AuthorizationHeaderMalformed": REGION,
    "PermanentRedirect": REGION,
    "301": REGION,
    "400": REGION,
    "ConditionalRequestConflict": "another writer was at the same key at this moment: run it again",
}
"""By S3's error code; answers to HEAD have no body, and their status is the code."""


class S3Store:
    """A `Store` in one bucket. Credentials come from boto3's own chain.

    `endpoint` is the URL of a server that is not AWS: it gets path-style requests. Such servers may know neither CRCs
    nor encryption, so `checksums` is then `when_required` by default (Content-MD5 goes along) and `encryption` `none`;
    on AWS they are `always` and `s3`. `max_size` is the largest object in bytes, from which the size of parts follows.
    `ca_file` is a PEM of the authorities that the server's certificate is checked against, instead of the system's.
    A process that is killed leaves its unfinished parts: give the bucket a lifecycle rule that aborts incomplete
    multipart uploads.
    """

    def __init__(
        self,
        bucket: str,
        region: str,
        endpoint: str | None,
        *,
        max_size: int = TIB,
        profile: str | None = None,
        encryption: str | None = None,
        kms_key: str | None = None,
        checksums: str | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self._bucket = bucket
        self._server = endpoint or f"AWS in {region}"
        checksums = checksums or ("when_required" if endpoint else "always")
        kept_with = _encrypted(encryption or ("none" if endpoint else "s3"), kms_key)
        self._terms = Terms(f"s3://{bucket}", max_size, kept_with, send_md5=checksums == "when_required")
        config = Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            request_checksum_calculation=CHECKSUMS[checksums],
            response_checksum_validation=CHECKSUMS[checksums],
            **({"s3": {"addressing_style": "path"}} if endpoint else {}),
        )
        with self._explained("", "connect"):
            session = boto3.session.Session(profile_name=profile)
            trusted = str(ca_file) if ca_file else None
            self._client = session.client(
                "s3", region_name=region, endpoint_url=endpoint, config=config, verify=trusted
            )

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        """See `Store.put`."""
        self.put_stream(key, [data], if_absent=if_absent)

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> Stored:
        """See `Store.put_stream`. Holds two to five parts in memory; more than `max_size` is refused."""
        return Upload(self._call, self._terms, checked(key), if_absent).run(chunks)

    def get(self, key: str) -> bytes:
        """See `Store.get`."""
        return b"".join(self.get_stream(key))

    def get_stream(self, key: str) -> Iterator[bytes]:
        """See `Store.get_stream`."""
        answer = self._call("get_object", checked(key), {}, ("Body", "ContentLength"))
        return self._chunks(key, answer["Body"], answer["ContentLength"])

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Store.list`."""
        for page in self._pages(prefix, {}):
            for found in page.get("Contents", []):
                yield Listed(found["Key"], found["Size"], found["LastModified"].astimezone(UTC))

    def prefixes(self, prefix: str) -> Iterator[str]:
        """See `Store.prefixes`."""
        for page in self._pages(prefix, {"Delimiter": "/"}):
            for found in page.get("CommonPrefixes", []):
                yield found["Prefix"]

    def delete(self, key: str) -> None:
        """See `Store.delete`."""
        with suppress(NotFound):
            self._call("delete_object", checked(key), {})

    def ask(self, operation: str, words: Mapping[str, object]) -> Mapping[str, Any]:
        """One operation on the bucket itself, such as `get_bucket_versioning`. Raises `StorageError`."""
        if self._terms.send_md5:
            # Ceph 16 takes lifecycle rules with Content-MD5 only, and boto3 sends a CRC alone.
            event = "before-call.s3.PutBucketLifecycleConfiguration"
            self._client.meta.events.register(event, _add_md5, unique_id="turnout-md5")
        return self._call(operation, "", words)

    def _call(
        self, operation: str, key: str, words: Mapping[str, object], needs: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        about = {"Key": key} if key else {}
        with self._explained(key, operation):
            answer: Mapping[str, Any] = getattr(self._client, operation)(Bucket=self._bucket, **about, **words)
        missing = [name for name in needs if name not in answer]
        if missing:
            fact = f"{self._name(key)}: {self._server} answers {operation} without {', '.join(missing)}"
            raise StorageError(fact, "is the endpoint an S3 server?")
        return answer

    def _pages(self, prefix: str, words: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        while True:
            page = self._call("list_objects_v2", "", {"Prefix": prefix, **words, **token}, ("IsTruncated",))
            yield page
            if not page["IsTruncated"]:
                return
            token = {"ContinuationToken": page["NextContinuationToken"]}

    def _chunks(self, key: str, body: Any, announced: int) -> Iterator[bytes]:
        got = 0
        with closing(body):
            while got < announced:
                with self._explained(key, "get_object"):
                    chunk = body.read(min(MIB, announced - got))
                if not chunk:
                    fact = f"{self._name(key)}: ended after {got} of {announced} bytes"
                    raise StorageError(fact, "run it again; if it stays so, use another backup")
                got += len(chunk)
                yield chunk

    @contextmanager
    def _explained(self, key: str, operation: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise self._refusal(error, self._name(key), operation) from error
        except FAILURES as error:
            raise self._failure(error, self._name(key), operation) from error

    def _refusal(self, error: ClientError, name: str, operation: str) -> StorageError:
        code = str(error.response["Error"].get("Code", ""))
        message = str(error.response["Error"].get("Message", ""))
        about = error.response["ResponseMetadata"]
        status = about["HTTPStatusCode"]
        if code in ("NoSuchKey", "NoSuchUpload", "404"):
            return NotFound(f"{name}: no such object", "see what is there: inv backup.list")
        if code in ("PreconditionFailed", "412"):
            return AlreadyExists(f"{name}: exists already", "choose another key, or see what is there")
        if status >= 500:
            tries = about.get("RetryAttempts", 0) + 1
            fact = f"{name}: {self._server} answered {operation} with {status} {code} after {tries} attempts"
            return StorageError(fact, "the store is in trouble or overloaded: look at its status, run it again later")
        fact = f"{name}: {self._server} refused {operation}: {status} {code} {message}".rstrip()
        return StorageError(fact, HINTS.get(code, "look up the code in the documentation of the store"))

    def _failure(self, error: Exception, name: str, operation: str) -> StorageError:
        why = " ".join(str(error).split())
        if isinstance(error, NO_CREDENTIALS):
            fact = f"{name}: no credentials for {self._server}: {why}"
            return StorageError(fact, "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
        if isinstance(error, NO_CONNECTION):
            fact = f"{name}: no connection to {self._server}: {why}"
            return NoConnection(fact, "check the endpoint in the configuration, the name server and the firewall")
        fact = f"{name}: {operation} at {self._server} failed: {why}"
        return StorageError(fact, "check the endpoint and bucket in the configuration and the network, run it again")

    def _name(self, key: str) -> str:
        return f"{self._terms.address}/{key}"


def _add_md5(params: dict[str, Any], **_: object) -> None:
    md5 = hashlib.md5(params["body"], usedforsecurity=False)
    params["headers"]["Content-MD5"] = base64.b64encode(md5.digest()).decode()


def _encrypted(how: str, kms_key: str | None) -> Mapping[str, str]:
    """The words that ask the server to encrypt an object."""
    if how == "none":
        return {}
    if how == "s3":
        return {"ServerSideEncryption": "AES256"}
    return {"ServerSideEncryption": "aws:kms", **({"SSEKMSKeyId": kms_key} if kms_key else {})}
