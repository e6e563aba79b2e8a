"""The bucket itself, as S3 tells of it and lets it be changed."""

from __future__ import annotations

from botocore.exceptions import ClientError

from fabfile.errors import StorageError
from fabfile.planning.bucket import BucketState, Finding, Seen, Unknown, Wanted, findings
from fabfile.storage.port import NotFound
from fabfile.storage.s3 import S3Store

PROBE = "setup"
"""An object that is put and deleted to see that what was changed has not locked us out."""
UNSUPPORTED = ("NotImplemented", "MethodNotAllowed", "NotSupported", "UnsupportedOperation")
NEW_BUCKET = "some stores lock only what was made for it: name a bucket that does not exist yet, and setup makes it so"

NO_SUCH_THING = Unknown("the store has no such thing, or does not tell", unsupported=True)


def bucket_findings(store: S3Store, wanted: Wanted) -> tuple[Finding, ...]:
    """Where the bucket is not as wanted. Changes nothing; raises StorageError when the store cannot be asked at all."""
    return findings(observe(store), wanted)


def observe(store: S3Store) -> BucketState:
    """The bucket as it is."""
    try:
        store.ask("head_bucket", {})
    except NotFound:
        return BucketState()
    return BucketState(
        exists=True,
        versioning=_seen(store, "get_bucket_versioning"),
        public_access=_seen(store, "get_public_access_block", "PublicAccessBlockConfiguration"),
        encryption=_seen(store, "get_bucket_encryption", "ServerSideEncryptionConfiguration"),
        lock=_seen(store, "get_object_lock_configuration", "ObjectLockConfiguration"),
        lifecycle=_seen(store, "get_bucket_lifecycle_configuration", "Rules"),
    )


def mend(store: S3Store, wanted: Wanted) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Make the bucket if there is none, then mend each difference, whatever becomes of the others.

    Twice is the same as once. Returns a line for each that the store has no way to do, and one for each that it
    refused. Raises StorageError when the bucket cannot be made, or takes no uploads afterwards.
    """
    found = bucket_findings(store, wanted)
    if found[0].request:
        store.ask(*found[0].request)
        found = bucket_findings(store, wanted)  # only now does the store tell what it has no way to do
    unsupported, refused = [], []
    for finding in found:
        if finding.request is None:
            continue
        try:
            store.ask(*finding.request)
        except StorageError as error:
            line = f"{finding.setting}: {error.fact}"
            if _is_unsupported(error):
                unsupported.append(line)
            else:
                refused.append(f"{line}; {NEW_BUCKET}" if finding.setting == "object lock" else line)
    _try_out(store, f"{wanted.prefix}/{PROBE}")
    return tuple(unsupported), tuple(refused)


def _try_out(store: S3Store, key: str) -> None:
    store.put(key, b"written by inv bucket.setup\n")
    store.get(key)
    store.delete(key)


def _seen(store: S3Store, operation: str, content: str = "") -> Seen:
    """What the store answers; one that does not know the question may answer another, without the `content`."""
    try:
        answer = store.ask(operation, {})
    except StorageError as error:
        if _status(error) == 404:
            return None
        if _is_unsupported(error):
            return NO_SUCH_THING
        if _status(error) == 403:
            return Unknown("this key may not look", unsupported=False)
        raise
    return answer if not content or answer.get(content) else NO_SUCH_THING


def _is_unsupported(error: StorageError) -> bool:
    cause = error.__cause__
    code = cause.response["Error"].get("Code") if isinstance(cause, ClientError) else None
    return code in UNSUPPORTED or _status(error) in (405, 501)


def _status(error: StorageError) -> int | None:
    cause = error.__cause__
    return int(cause.response["ResponseMetadata"]["HTTPStatusCode"]) if isinstance(cause, ClientError) else None
