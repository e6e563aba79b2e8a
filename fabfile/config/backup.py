"""The section `backup`: the bucket, what is encrypted, how long backups are kept, when they are taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from fabfile.config.section import Section
from fabfile.config.values import (
    Days,
    Duration,
    Endpoint,
    Interval,
    Matching,
    PlainText,
    Recipient,
    RelativePath,
    Size,
    Sourced,
)


class RetentionSettings(Section):
    """Which backups `inv backup.prune` keeps: the newest verified one of each slot of time, each kind for itself."""

    six_hourly: Duration | None = 7 * 86400.0
    """For so long, one of every six hours (00, 06, 12 and 18 o'clock UTC)."""
    daily: Duration | None = 30 * 86400.0
    """For so long, one of every day (UTC)."""
    weekly: Duration | None = None
    """For so long, one of every week, Monday to Sunday."""
    monthly: Duration | None = None
    """For so long, one of every month."""
    yearly: Duration | None = None
    """For so long, one of every year."""
    unverified: Duration = 7 * 86400.0
    """How long a backup may wait to be verified; then it stays only while it is newer than every verified one."""
    min_keep: Annotated[int, Field(ge=1, le=1000)] = 3
    """So many of the newest verified backups stay, however old they are."""


class SafeguardSettings(Section):
    """What `inv bucket.setup` puts on the bucket, beside versioning, encryption and the public access block."""

    lock: Days | None = None
    """Object Lock: for so long only a special right (governance) destroys what is stored. Never to be undone."""
    deleted: Days = 30 * 86400.0
    """How long what was deleted or replaced can be brought back, as a former version."""
    infrequent_after: Days | None = 30 * 86400.0
    """AWS only: objects so old become STANDARD_IA, cheaper to keep and dearer to read; at least 30d."""
    glacier_after: Days | None = 90 * 86400.0
    """AWS only: objects so old become GLACIER_IR, which is read at once like any other; at least 30d later."""


class ScheduleSettings(Section):
    """When backups are taken by themselves, and who notices when they are not."""

    every: Interval = 21600.0
    """The time from one backup to the next, a part of a day; verification and pruning are daily."""
    jitter: Duration = 600.0
    """Each backup begins at most so much late, so that not all environments begin at once."""
    ping: Sourced | None = None
    """A dead man's switch: `env:NAME` or `file:PATH` of a URL got after each backup, with /fail if that failed."""
    alert_after: Duration = 108000.0
    """The age at which the newest verified backup is too old."""


class BucketSettings(Section):
    """One bucket, and how it is spoken to."""

    bucket: Annotated[
        str, Matching(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "3 to 63 lower-case letters, digits, dots and dashes")
    ]
    """An existing S3 bucket."""
    prefix: RelativePath = "turnout"
    """Everything is kept below this prefix, then the application's and the environment's name."""
    region: PlainText = "us-east-1"
    """The bucket's region."""
    endpoint: Endpoint | None = None
    """For S3-compatible stores: the service's URL, or `env:NAME`; path-style addressing is then used."""
    profile: PlainText | None = None
    """A profile of boto3's files to take the credentials from; default: boto3's own search."""
    encryption: Literal["none", "s3", "kms"] | None = None
    """What the store is asked to encrypt with: nothing, its own keys, or KMS; default: `s3` on AWS, else `none`."""
    kms_key: PlainText | None = None
    """The KMS key's id or ARN; default: the account's own for S3."""
    checksums: Literal["always", "when_required"] | None = None
    """`when_required` for stores that do not know CRCs (MD5 goes along instead); default: `always` on AWS only."""
    ca_file: PlainText | None = None
    """Certificates (PEM) of the authorities that vouch for the service; default: the system's."""


class BackupSettings(BucketSettings):
    """Where backups go."""

    max_size: Size = 1 << 40
    """The largest object, as stored; its ten-thousandth is the size of a part, of which two to five are in memory."""
    recipients: tuple[Recipient, ...] = ()
    """Public keys (age1…, ssh-ed25519, ssh-rsa): dumps and files are encrypted for them before the store sees them."""
    identity: Sourced | None = None
    """The private key of one of them, needed to restore and for nothing else: `env:NAME` or `file:PATH`."""
    copy_to: Annotated[BucketSettings | None, Field(alias="copy")] = None
    """A second bucket to which `inv backup` brings every backup; it needs no key to do so."""
    before_deploy: bool = False
    """Take a backup before each deploy, and refuse to deploy when it fails."""
    retention: RetentionSettings = RetentionSettings()
    """Which backups `inv backup.prune` keeps."""
    safeguards: SafeguardSettings = SafeguardSettings()
    """What `inv bucket.setup` puts on the bucket."""
    schedule: ScheduleSettings = ScheduleSettings()
    """When backups are taken by themselves: `inv backup.schedule` installs it."""


def backup_contradictions(backup: BackupSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """The keys of a backup section that cannot stand beside others, and why."""
    yield from _tier_clashes(backup.safeguards)
    copy, schedule = backup.copy_to, backup.schedule
    for path, store in ((("backup",), backup), (("backup", "copy"), copy)):
        if store and store.kms_key and store.encryption != "kms":
            yield (*path, "kms_key"), "needs encryption: kms"
    if copy and (copy.bucket, copy.endpoint) == (backup.bucket, backup.endpoint):
        yield ("backup", "copy", "bucket"), f"{copy.bucket} is the first bucket; a copy belongs into another one"
    if schedule.jitter >= schedule.every:
        yield ("backup", "schedule", "jitter"), "must be shorter than every, or one backup is due before another"
    if schedule.alert_after <= 86400:
        yield ("backup", "schedule", "alert_after"), "must be more than 1d, as backups are verified once a day"


def _tier_clashes(settings: SafeguardSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    month, (first, second) = 30 * 86400.0, (settings.infrequent_after, settings.glacier_after)
    if first is not None and first < month:
        yield ("backup", "safeguards", "infrequent_after"), "S3 allows no less than 30d"
    if first is not None and second is not None and second < first + month:
        yield ("backup", "safeguards", "glacier_after"), "S3 allows no less than 30d after infrequent_after"
