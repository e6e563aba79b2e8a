"""A recovery point is taken: every part is streamed to the store, and the manifest that makes it one comes last."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from datetime import UTC, datetime

from fabfile.commands import archive, shared_files
from fabfile.database.port import Database
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.recovery_point import (
    DATABASE,
    FILES,
    FORMAT,
    RELEASE,
    DatabaseFacts,
    Kind,
    RecoveryPoint,
    StoredPart,
    utc,
)
from fabfile.model.script import Script
from fabfile.recovery.catalogue import KEEP_FULL, NOT_FOREVER
from fabfile.recovery.scope import Scope
from fabfile.remote.port import Host
from fabfile.storage.parts import Tally
from fabfile.storage.port import Stored, beside


def capture(
    scope: Scope,
    kind: Kind,
    reason: str,
    run: str,
    release: str | None = None,
    *,
    label: str | None = None,
    keep_forever: bool = False,
) -> RecoveryPoint:
    """Take a backup and list it; `release` is the id of the live release, whose archive goes with its files.

    Raises BadInput when there is nothing of that kind to save, else what went wrong on a host, in the database or in
    the store. Then, and on Ctrl-C, nothing is listed and what had been stored under its number is deleted.
    """
    physical = scope.physical if kind != "files" else None
    database = scope.database if kind != "files" and not physical else None
    hosts = scope.environment.app_hosts if kind != "database" and scope.environment.release.shared else ()
    archived = release if kind != "database" else None
    if not (physical or database or hosts or archived):
        raise BadInput(f"there is nothing to save in a backup of kind {kind}", "set database or release.shared")
    if physical and keep_forever:
        raise BadInput(NOT_FOREVER, KEEP_FULL)
    started, moment = time.monotonic(), datetime.now(UTC)
    number = scope.catalogue.allocate(run)
    try:
        whole = physical.backup(number) if physical else None
        facts, objects = _save_database(scope, database, number) if database else (None, ())
        objects += tuple(_save_files(scope, host, number) for host in hosts)
        objects += (_save_release(scope, archived),) if archived else ()
        known = scope.catalogue.release(release) if release else None
        point = RecoveryPoint(
            format=FORMAT,
            number=number,
            app=scope.catalogue.app,
            environment=scope.catalogue.environment,
            kind=kind,
            reason=reason,
            created_at=utc(moment),
            release=release,
            release_digest=known.sha256 if known else None,
            run=run,
            seconds=round(time.monotonic() - started, 3),
            objects=objects,
            database=facts,
            label=label,
            keep_forever=keep_forever,
            pgbackrest=whole,
        )
        RecoveryPoint.from_json(point.to_json())  # what cannot be read back is no backup
        scope.catalogue.commit(point)
    except BaseException as error:
        _take_back(scope, number, error)
        raise
    return point


def _save_database(scope: Scope, database: Database, number: int) -> tuple[DatabaseFacts, tuple[StoredPart, ...]]:
    with database.dump(database.live) as dump:
        part = _save(scope, number, DATABASE, dump.file, dump.chunks)
    return dump.facts, (part,)


def _save_files(scope: Scope, host: str, number: int) -> StoredPart:
    with closing(_streamed(scope.hosts[host], shared_files.pack(scope.paths))) as chunks:
        return _save(scope, number, FILES + host, f"files.{host}.tar.zst", chunks)


def _save(scope: Scope, number: int, name: str, file: str, chunks: Iterable[bytes]) -> StoredPart:
    """Store what a host sends, sealed if there are recipients; its owner closes the chunks."""
    catalogue, key = scope.catalogue, scope.catalogue.key(number, file)
    if not scope.recipients:
        return _plain(name, catalogue.store.put_stream(key, chunks))
    from fabfile.encryption import sealed  # loads a library that only encrypted backups need

    tally = Tally()
    with closing(sealed(tally.weighed(chunks), scope.recipients)) as age:
        stored = catalogue.store.put_stream(f"{key}.age", age)
    plain = tally.stored(key)
    return StoredPart(name, stored.key, stored.size, stored.sha256, plain.size, plain.sha256, encrypted=True)


def _plain(name: str, stored: Stored | StoredPart) -> StoredPart:
    """A part that is stored as it came."""
    return StoredPart(name, stored.key, stored.size, stored.sha256, stored.size, stored.sha256)


def _save_release(scope: Scope, release: str) -> StoredPart:
    """The release's archive, never encrypted: several backups share it by its digest, and no secret is in it."""
    known = scope.catalogue.release(release)
    if known is None:
        with closing(_archive(scope, release)) as chunks:
            known = scope.catalogue.add_release(release, chunks)
    return _plain(RELEASE, known)


def _archive(scope: Scope, release: str) -> Generator[bytes, None, None]:
    """The archive from the first host that has it undamaged."""
    for name in scope.environment.app_hosts:
        host = scope.hosts[name]
        if host.run(archive.sound(scope.paths, release)).stdout.strip() == "sound":
            yield from _streamed(host, archive.send(scope.paths, release))
            return
    raise TurnoutError(f"no host has a sound archive of release {release}", "deploy it again, then back it up")


def _streamed(host: Host, script: Script) -> Generator[bytes, None, None]:
    yield from host.stream(script)


def _take_back(scope: Scope, number: int, error: BaseException) -> None:
    try:
        scope.catalogue.remove(number)
    except TurnoutError as second:
        beside(error, f"parts of the unfinished backup {number} are still in the store: {second.fact}")
