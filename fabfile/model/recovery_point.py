"""A recovery point: what was saved, where it lies, how it can be told from a damaged one, and its manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError

from fabfile.errors import BadInput
from fabfile.model.database_server import Role

FORMAT: Literal[1] = 1
"""The version of the manifest."""
DATABASE = "database"
RELEASE = "release"
FILES = "files:"
"""Names of parts: the dump, the release archive, and (with the host's name after it) a host's shared files."""

Kind: TypeAlias = Literal["full", "database", "files"]


def utc(moment: datetime) -> str:
    """A moment (which knows its zone) as manifests write it: ISO 8601 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _utc(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value):
        raise ValueError("expected a time in UTC such as 2025-01-31T03:00:00Z")
    datetime.fromisoformat(value)
    return value


Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
UtcTime = Annotated[str, AfterValidator(_utc)]
STRICT = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True)
class DatabaseFacts:
    """What a database held in one snapshot: size in bytes, and the exact number of rows of every `schema.table`.

    `extensions` are versions by name. `roles` are those that own something in it or were granted something, and those
    that they are members of; PostgreSQL's predefined ones are left out. `schema_version` is the application's own.
    """

    __pydantic_config__ = STRICT

    server_version: Text
    size_bytes: Count
    owner: Text
    encoding: Text
    extensions: Mapping[str, str]
    tables: Mapping[str, Count]
    roles: tuple[Role, ...] = ()
    schema_version: str | None = None


@dataclass(frozen=True)
class StoredPart:
    """One object in the store: its size in bytes and its SHA-256 (hex), both of the bytes as stored.

    `plain_size` and `plain_sha256` are of the bytes as they came from the host: compressed there, not yet encrypted. A
    part that is not `encrypted` is stored as it came; manifests of earlier versions leave all three out.
    """

    __pydantic_config__ = STRICT

    name: Text
    key: Text
    size: Count
    sha256: Sha256
    plain_size: Count | None = None
    plain_sha256: Sha256 | None = None
    encrypted: bool = False


@dataclass(frozen=True)
class PhysicalBackup:
    """The whole server in pgBackRest's repository: the backup's label there, and what it reaches from and to.

    `manifest` is the key of the object without which the label is none; `size_bytes` is what this backup added.
    """

    __pydantic_config__ = STRICT

    stanza: Text
    label: Text
    manifest: Text
    size_bytes: Count
    start_lsn: Text
    stop_lsn: Text
    started_at: UtcTime
    stopped_at: UtcTime


@dataclass(frozen=True)
class Drill:
    """The whole application of a backup was started on `host`: the seconds of each phase, at a moment in UTC."""

    __pydantic_config__ = STRICT

    at: UtcTime
    host: Text
    phases: Mapping[str, Seconds]

    @property
    def seconds(self) -> float:
        """What it takes from nothing to an application that is healthy."""
        return round(sum(self.phases.values()), 3)


@dataclass(frozen=True)
class Verification:
    """What came of restoring a backup beside the live system: `problems` says why it `failed`.

    `by` is who did it, `seconds` how long it took; `drill` is the newest one that succeeded.
    """

    __pydantic_config__ = STRICT

    at: UtcTime
    outcome: Literal["passed", "failed"]
    by: Text
    seconds: Seconds
    problems: tuple[str, ...] = ()
    drill: Drill | None = None


@dataclass(frozen=True)
class RecoveryPoint:
    """One backup; `created_at` and `verified_at` are ISO 8601 in UTC, `seconds` is how long it took.

    `label` is what somebody called it; with `keep_forever` no retention rule deletes it.
    `verification` is what came of trying it last; `verified_at` is when, if it passed. `pgbackrest` is there instead of
    a dump where the whole server is backed up.
    """

    __pydantic_config__ = STRICT

    format: Literal[1]
    number: Annotated[int, Field(ge=1)]
    app: Text
    environment: Text
    kind: Kind
    reason: Text
    created_at: UtcTime
    release: str | None
    release_digest: Sha256 | None
    run: Text
    seconds: Seconds
    objects: tuple[StoredPart, ...]
    database: DatabaseFacts | None = None
    verified_at: UtcTime | None = None
    label: str | None = None
    keep_forever: bool = False
    verification: Verification | None = None
    pgbackrest: PhysicalBackup | None = None

    @property
    def size(self) -> int:
        """Bytes of all its parts in the store, the release archive that it shares with others included."""
        return sum(part.size for part in self.objects) + (self.pgbackrest.size_bytes if self.pgbackrest else 0)

    def part(self, name: str) -> StoredPart | None:
        """The part of that name, or None."""
        return next((part for part in self.objects if part.name == name), None)

    def files(self, host: str) -> StoredPart | None:
        """The shared files of `host`, else those of the first host that has any, else None."""
        return self.part(FILES + host) or next((part for part in self.objects if part.name.startswith(FILES)), None)

    def judged(self, verification: Verification) -> RecoveryPoint:
        """The same with what came of trying it."""
        verified_at = verification.at if verification.outcome == "passed" else None
        return replace(self, verification=verification, verified_at=verified_at)

    def to_json(self) -> bytes:
        """The manifest: UTF-8 JSON, indented, ending with a line break."""
        return MANIFEST.dump_json(self, indent=1) + b"\n"

    @staticmethod
    def from_json(data: bytes) -> RecoveryPoint:
        """The recovery point of a manifest. Raises BadInput when anything is missing, unknown or ill-formed."""
        try:
            return MANIFEST.validate_json(data)
        except ValidationError as error:
            found = [
                f"{'.'.join(map(str, problem['loc'])) or 'document'}: {problem['msg']}" for problem in error.errors()
            ]
            raise BadInput("the manifest of a backup cannot be used", "choose another backup", found) from error


MANIFEST = TypeAdapter(RecoveryPoint)
VERIFICATION = TypeAdapter(Verification)
