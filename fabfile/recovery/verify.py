"""A recovery point is tried: its dump restored into a scratch database, and every other part read to its end.

Nothing here holds the lease. A verification may take an hour and must not keep anybody from deploying, backing up or
going back meanwhile; it writes to nothing that they use, and of a backup that is deleted under its hands it says so.
What must not meet are two of its own kind over one scratch database, and that is what the held name is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fabfile.artifact.archive import Release
from fabfile.config.smoke import SmokeSettings
from fabfile.database.port import Database
from fabfile.errors import (
    BadInput,
    DatabaseError,
    Interrupted,
    Refused,
    RemoteTimeout,
    StorageError,
    TurnoutError,
    Unreachable,
    Unverified,
)
from fabfile.model.recovery_point import DATABASE, FILES, RELEASE, DatabaseFacts, RecoveryPoint, StoredPart
from fabfile.recovery import restore
from fabfile.recovery.contents import opened_release, unpacked_bytes
from fabfile.recovery.integrity import Checked, measured
from fabfile.recovery.scope import Scope

RUN = r"\d{8}t\d{6}_[0-9a-f]{4}"
"""How the id of a run ends a scratch database's name."""
LONGEST = 63
"""Bytes of a name in PostgreSQL, which cuts longer ones silently."""
LINES = 20
SILENCE = (BadInput, DatabaseError, Interrupted, Refused, RemoteTimeout, Unreachable)
TROUBLE = ("No space left on device", " is full", "server closed the connection", "connection to server")
"""What says nothing about a backup: errors, and words in those of programs on hosts."""
DAMAGE = ("checksum", "missing file", "did not get to", "invalid page")
"""What does say something about one of pgBackRest's: words of its own and of PostgreSQL."""
ENGINE = "set database.engine: pgbackrest (hosts/example.yml shows what it needs)"


@dataclass
class Findings:
    """What was found so far: problems, the release if the backup has one, and the unpacked size of files, in bytes."""

    problems: list[str] = field(default_factory=list)
    release: Release | None = None
    unpacked: dict[str, int] = field(default_factory=dict)


def read_parts(scope: Scope, point: RecoveryPoint, folder: Path) -> Findings:
    """Read all but the dump in full, the release into `folder`; what is wrong with one part says nothing of others."""
    found = Findings()
    for part in point.objects:
        with _judged(scope, part, found.problems):
            chunks = Checked(scope.catalogue.store, part, scope.identity)
            if part.name.startswith(FILES):
                found.unpacked[part.name] = unpacked_bytes(chunks)
            elif part.name == RELEASE:
                found.release = opened_release(point, part, chunks, folder)
    return found


@contextmanager
def scratch_database(database: Database, run: str, size: int) -> Iterator[str]:
    """An empty database beside the live one for as long as the block lasts, to hold `size` bytes; its name.

    Those that killed runs left are dropped first. Raises Refused where the server's disk would not hold it.
    """
    prefix = f"{database.live[: LONGEST - len('_verify_20250131t030000_0a1b')]}_verify_"
    for left in database.names_like(prefix):
        if re.fullmatch(re.escape(prefix) + RUN, left):
            with database.held(left) as ours:
                if ours:
                    database.drop(left)
    free = database.free_bytes()
    if free is not None and free < size:
        raise Refused(
            f"the database server has {free / 1e9:.2f} GB free, and the copy takes about {size / 1e9:.2f} GB",
            "make room there: df -h",
        )
    name = prefix + run.replace("-", "_").lower()
    with database.held(name) as ours:
        if not ours:
            raise Refused(f"another verification works on {name}", "wait for its end")
        try:
            database.create_beside(name, database.live)
            yield name
        finally:
            database.drop(name)


def restore_into(scope: Scope, point: RecoveryPoint, name: str, problems: list[str]) -> bool:
    """Restore the dump into an empty database, and give that what the live one has beside its content; whether it is
    there now."""
    part, database = point.part(DATABASE), scope.database
    assert part and database, "only a backup with a dump is restored, and a server is there"
    before = len(problems)
    with _judged(scope, part, problems):
        try:
            restore.load_database(scope, point, name)
        except SILENCE:
            raise
        except TurnoutError as error:
            if not database.exists(name):
                raise DatabaseError(f"{name} was dropped while it was filled", "run it again") from error
            raise
        database.carry_over(database.live, name)
    return len(problems) == before


def examine(point: RecoveryPoint, database: Database, smoke: SmokeSettings, name: str) -> list[str]:
    """What is wrong with a restored database: rows and extensions that differ, questions that it answers wrongly."""
    assert point.database
    return differences(point.database, database.describe(name)) + objections(database, smoke, name)


def objections(database: Database, smoke: SmokeSettings, name: str) -> list[str]:
    """The smoke tests of the environment, of those for copies, that a restored database fails. None is retried: a copy
    does not change."""
    asked = ((test, found) for test, found in smoke.sql.items() if "copy" in found.at)
    answers = ((test, database.objection(name, found.query, found.timeout, found.rows)) for test, found in asked)
    return [f"smoke.sql.{test}: {why}" for test, why in answers if why]


def try_server(scope: Scope, point: RecoveryPoint, run: str) -> list[str]:
    """What is wrong with a backup of the whole server: a copy of it runs beside the live one, every table of the
    application's database is read to its end, and the environment's questions are asked."""
    if scope.physical is None or point.pgbackrest is None:
        raise BadInput(f"backup {point.number} is pgBackRest's, and the engine is another", ENGINE)
    try:
        with scope.physical.copied(point.pgbackrest, run) as database:
            database.describe(database.live)
            return objections(database, scope.environment.smoke, database.live)
    except TurnoutError as error:
        if not any(words in f"{error}" for words in DAMAGE):
            raise
        return [error.fact, *_few(error.details)]


def differences(saved: DatabaseFacts, restored: DatabaseFacts) -> list[str]:
    """Where the content of a restored database is not what was saved.

    The owner is that of the live database and an extension's version that of the server, in a restore too: neither says
    anything about the backup.
    """
    lines = []
    if saved.encoding != restored.encoding:
        lines.append(f"encoding: {saved.encoding} in the backup, {restored.encoding} restored")
    lines += [f"extension {name}: not restored" for name in sorted({*saved.extensions} - {*restored.extensions})]
    for table in sorted({*saved.tables, *restored.tables}):
        was, now = saved.tables.get(table), restored.tables.get(table)
        if was != now:
            lines.append(f"{table}: {_rows(was)} in the backup, {_rows(now)} restored")
    return _few(lines)


@contextmanager
def _judged(scope: Scope, part: StoredPart, problems: list[str]) -> Iterator[None]:
    """What fails for the sake of the part is a problem; a store, server or host in trouble is raised as it is."""
    try:
        yield
    except SILENCE:
        raise
    except StorageError as error:
        stored = measured(scope.catalogue.store, part.key)
        if (stored.size, stored.sha256) == (part.size, part.sha256):
            raise
        problems.append(error.fact)
    except Unverified as error:
        problems.append(f"{part.name}: {error.fact}")
    except TurnoutError as error:
        if any(words in f"{error}" for words in TROUBLE):
            raise
        problems += [f"{part.name}: {error.fact}", *_few(error.details)]


def _rows(count: int | None) -> str:
    return "no table" if count is None else f"{count} rows"


def _few(lines: Sequence[str]) -> list[str]:
    return [*lines[:LINES], *([f"and {len(lines) - LINES} more"] if len(lines) > LINES else [])]
