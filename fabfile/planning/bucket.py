"""What a bucket for backups should be like, where one differs, and which request would mend each difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from fabfile.config.backup import BucketSettings, SafeguardSettings

DAY = 86400
NEVER_PUBLIC = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
SLOW = ("GLACIER", "DEEP_ARCHIVE")
"""Storage classes from which nothing can be read for hours."""


@dataclass(frozen=True)
class Unknown:
    """A setting that cannot be seen: the store has no such thing (`unsupported`), or this key may not look."""

    why: str
    unsupported: bool


Seen: TypeAlias = Mapping[str, Any] | Unknown | None
"""A setting as S3 tells it; None when nobody has set it."""


@dataclass(frozen=True)
class BucketState:
    """A bucket as it is; one that does not exist has nothing set."""

    exists: bool = False
    versioning: Seen = None
    public_access: Seen = None
    encryption: Seen = None
    lock: Seen = None
    lifecycle: Seen = None


@dataclass(frozen=True)
class Wanted:
    """What the bucket should have, times in days; `region` is where it would be made, None where AWS is not."""

    prefix: str
    region: str | None
    lock: int | None
    deleted: int
    infrequent_after: int | None
    glacier_after: int | None


@dataclass(frozen=True)
class Finding:
    """One setting: `fine`, or it `differs` and `request` (operation and words) mends it as `remedy` says, or the store
    does not have it (`unsupported`), or it is `hidden` from this key, or somebody should `mind` it."""

    setting: str
    state: Literal["fine", "differs", "unsupported", "hidden", "mind"]
    now: str
    remedy: str = ""
    request: tuple[str, Mapping[str, Any]] | None = field(default=None, repr=False)


def wanted(settings: BucketSettings, safeguards: SafeguardSettings) -> Wanted:
    """What the configuration asks for; storage classes are AWS's own."""
    aws = settings.endpoint is None
    return Wanted(
        prefix=settings.prefix,
        region=settings.region if aws else None,
        lock=_days(safeguards.lock),
        deleted=int(safeguards.deleted // DAY),
        infrequent_after=_days(safeguards.infrequent_after) if aws else None,
        glacier_after=_days(safeguards.glacier_after) if aws else None,
    )


def findings(state: BucketState, wanted: Wanted) -> tuple[Finding, ...]:
    """Every setting in the order in which differences are to be mended: Object Lock needs versions first."""
    return tuple(_found(state, wanted))


def _found(state: BucketState, wanted: Wanted) -> Iterator[Finding]:
    yield _existence(state, wanted)
    for setting, seen, judge in (
        ("versioning", state.versioning, _versioning),
        ("encryption", state.encryption, _encryption),
    ):
        yield _blind(setting, seen) if isinstance(seen, Unknown) else judge(seen or {})
    if isinstance(state.public_access, Unknown):
        yield _blind("public access", state.public_access)
    else:
        yield _public_access(state.public_access or {}, aws=wanted.region is not None)
    if isinstance(state.lock, Unknown):
        yield _blind("object lock", state.lock)
    else:
        yield _lock(state.lock or {}, wanted.lock)
    if isinstance(state.lifecycle, Unknown):
        yield _blind("lifecycle", state.lifecycle)
    else:
        versions = not (isinstance(state.versioning, Unknown) and state.versioning.unsupported)
        yield _lifecycle(state.lifecycle or {}, our_rule(wanted, versions))
        yield from _strangers(state.lifecycle or {}, wanted)
    if wanted.region is None:
        yield Finding("tiers", "unsupported", "STANDARD_IA and GLACIER_IR are AWS's own: not used here")


def our_rule(wanted: Wanted, versions: bool = True) -> Mapping[str, Any]:
    """The one lifecycle rule that is ours.

    It needs no filter by size to leave manifests where they are: S3 moves nothing below 128 KiB to these two classes,
    and from both everything is read at once.
    """
    tiers = ((wanted.infrequent_after, "STANDARD_IA"), (wanted.glacier_after, "GLACIER_IR"))
    transitions = [{"Days": days, "StorageClass": tier} for days, tier in tiers if days is not None]
    former = {
        "NoncurrentVersionExpiration": {"NoncurrentDays": wanted.deleted},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
    return {
        "ID": f"turnout:{wanted.prefix}",
        "Status": "Enabled",
        "Filter": {"Prefix": f"{wanted.prefix}/"},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
        **(former if versions else {}),
        **({"Transitions": transitions} if transitions else {}),
    }


def writer_policy(settings: BucketSettings) -> Mapping[str, Any]:
    """An IAM policy for whoever only takes backups: it adds and reads, and deletes nothing.

    Reading is needed to see that a part has arrived. Listing has no condition, because without the right to list S3
    answers that an absent object is forbidden.
    """
    partition = next((name for start, name in PARTITIONS.items() if settings.region.startswith(start)), "aws")
    bucket = f"arn:{partition}:s3:::{settings.bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "SeeWhatThereIs", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket},
            {
                "Sid": "AddAndRead",
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject"],
                "Resource": f"{bucket}/{settings.prefix}/*",
            },
        ],
    }


PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}


def _existence(state: BucketState, wanted: Wanted) -> Finding:
    if state.exists:
        return Finding("bucket", "fine", "is there")
    words: dict[str, Any] = {"ObjectLockEnabledForBucket": True} if wanted.lock else {}
    if wanted.region not in (None, "us-east-1"):
        words["CreateBucketConfiguration"] = {"LocationConstraint": wanted.region}
    where = f" in {wanted.region}" if wanted.region else ""
    return Finding("bucket", "differs", "does not exist", f"make it{where}", ("create_bucket", words))


def _blind(setting: str, seen: Unknown) -> Finding:
    return Finding(setting, "unsupported" if seen.unsupported else "hidden", seen.why)


def _versioning(seen: Mapping[str, Any]) -> Finding:
    status = seen.get("Status", "off")
    if status == "Enabled":
        return Finding("versioning", "fine", "on")
    request = ("put_bucket_versioning", {"VersioningConfiguration": {"Status": "Enabled"}})
    return Finding("versioning", "differs", status.lower(), "turn it on; later it can only be suspended", request)


def _public_access(seen: Mapping[str, Any], aws: bool) -> Finding:
    """Ceph 16 refuses every upload where public ACLs are blocked; that they are ignored is as good."""
    present = {name: bool(seen.get("PublicAccessBlockConfiguration", {}).get(name)) for name in NEVER_PUBLIC}
    needed = [name for name in NEVER_PUBLIC if aws or name != "BlockPublicAcls"]
    lacking = [name for name in needed if not present[name]]
    if not lacking:
        return Finding("public access", "fine", "blocked")
    block = {**present, **dict.fromkeys(needed, True)}
    request = ("put_public_access_block", {"PublicAccessBlockConfiguration": block})
    return Finding("public access", "differs", f"not set: {', '.join(lacking)}", "set it", request)


def _encryption(seen: Mapping[str, Any]) -> Finding:
    rules = seen.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    kinds = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    if any(kinds):
        return Finding("encryption", "fine", f"{kinds[0]} by default")
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    request = ("put_bucket_encryption", {"ServerSideEncryptionConfiguration": default})
    return Finding("encryption", "differs", "none by default", "AES256 by default", request)


def _lock(seen: Mapping[str, Any], days: int | None) -> Finding:
    """What is locked for longer than wanted is left so, and compliance is not weakened to governance."""
    found = seen.get("ObjectLockConfiguration", {})
    retention = found.get("Rule", {}).get("DefaultRetention", {}) if found.get("ObjectLockEnabled") == "Enabled" else {}
    mode, have = retention.get("Mode"), retention.get("Days", 0) or 365 * retention.get("Years", 0)
    now = f"{mode} for {have} d" if mode else "off"
    if days is None or have >= days:
        return Finding("object lock", "fine", now)
    rule = {"DefaultRetention": {"Mode": mode or "GOVERNANCE", "Days": days}}
    request = (
        "put_object_lock_configuration",
        {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", "Rule": rule}},
    )
    remedy = f"{mode or 'GOVERNANCE'} for {days} d, for what is stored from then on; a bucket never loses Object Lock"
    return Finding("object lock", "differs", now, remedy, request)


def _lifecycle(seen: Mapping[str, Any], ours: Mapping[str, Any]) -> Finding:
    rules: Sequence[Mapping[str, Any]] = seen.get("Rules", [])
    present = next((rule for rule in rules if rule.get("ID") == ours["ID"]), None)
    if present is not None and {key: value for key, value in present.items() if value not in ([], {}, None)} == ours:
        return Finding("lifecycle", "fine", described(ours))
    others = [_in_todays_words(rule) for rule in rules if rule.get("ID") != ours["ID"]]
    smallest = {key: seen[key] for key in ("TransitionDefaultMinimumObjectSize",) if key in seen}
    request = (
        "put_bucket_lifecycle_configuration",
        {"LifecycleConfiguration": {"Rules": [*others, ours]}, **smallest},
    )
    kept = f"; {len(others)} rules of others stay" if others else ""
    now = described(present) if present is not None else "no rule of ours"
    return Finding("lifecycle", "differs", now, described(ours) + kept, request)


def described(rule: Mapping[str, Any]) -> str:
    """A lifecycle rule of ours in words."""
    words = []
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        words.append(f"unfinished uploads end after {abort.get('DaysAfterInitiation')} d")
    if former := rule.get("NoncurrentVersionExpiration"):
        words.append(f"former versions go after {former.get('NoncurrentDays')} d")
    words += [f"{move.get('StorageClass')} after {move.get('Days')} d" for move in rule.get("Transitions", [])]
    return ", ".join(words) + ("" if rule.get("Status") == "Enabled" else " (disabled)")


def _in_todays_words(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule from before there were filters means the same with one, and S3 takes no mixture of both."""
    if "Filter" in rule or "Prefix" not in rule:
        return rule
    return {**{key: value for key, value in rule.items() if key != "Prefix"}, "Filter": {"Prefix": rule["Prefix"]}}


def _strangers(seen: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Rules of others that reach our objects and would cost us backups."""
    ours = f"{wanted.prefix}/"
    for rule in seen.get("Rules", []):
        chosen = rule.get("Filter", rule)
        prefix = chosen.get("Prefix", chosen.get("And", {}).get("Prefix", "")) or ""
        reaches = ours.startswith(prefix) or prefix.startswith(ours)
        if rule.get("ID") == f"turnout:{wanted.prefix}" or rule.get("Status") != "Enabled" or not reaches:
            continue
        name, remedy = f"rule {rule.get('ID', 'without a name')}", f"give it a prefix outside {ours}, or delete it"
        if expiry := {"Days", "Date"} & set(rule.get("Expiration", {})):
            when = rule["Expiration"][expiry.pop()]
            yield Finding(name, "mind", f"deletes backups ({when}) whatever backup.retention says", remedy)
        slow = [move for move in rule.get("Transitions", []) if move.get("StorageClass") in SLOW]
        for move in slow:
            yield Finding(name, "mind", f"moves backups to {move['StorageClass']}: unreadable for hours", remedy)


def _days(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds // DAY)
