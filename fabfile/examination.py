"""Everything that checks judge, asked for at the same time, each question with its time-out; changes nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from fabfile.backends import PROJECT
from fabfile.checks.evidence import Evidence, Schedule, Unseen
from fabfile.config.required import unreadable
from fabfile.config.sources import resolve_endpoint
from fabfile.errors import BadInput, TurnoutError, Unreachable
from fabfile.model.finding import from_hint
from fabfile.model.observed import Observed
from fabfile.schedule import standing

if TYPE_CHECKING:
    from fabfile.config.backup import BackupSettings, BucketSettings, SafeguardSettings
    from fabfile.model.database_server import Doorway
    from fabfile.model.recovery_point import RecoveryPoint
    from fabfile.planning.bucket import Finding
    from fabfile.session import Session
    from fabfile.storage.port import Store

LIMIT = 45.0
"""Seconds for one answer: a store that nobody answers for is given up after 30."""
AT_ONCE = 64
"""Questions that are on their way at the same time."""

T = TypeVar("T")


class Questions:
    """Questions on their way, each in a thread that nobody has to wait for at the end, so many of them at once.

    Each has `limit` seconds from now on, however many there are for each turn of them.
    """

    def __init__(self, limit: float, count: int) -> None:
        self.limit = limit * max(1, -(-count // AT_ONCE))
        self._deadline = time.monotonic() + self.limit
        self._turn = threading.Semaphore(AT_ONCE)

    def ask(self, question: Callable[[], T]) -> Callable[[], T | Unseen]:
        """Begin; what comes back waits for the answer, or tells why there is none."""
        done = threading.Event()
        found: list[T | Unseen] = []

        def run() -> None:
            with self._turn:
                try:
                    found.append(question())
                except TurnoutError as error:
                    found.append(why_not(error))
                except Exception as error:
                    found.append(Unseen(f"internal error: {type(error).__name__}: {error}"))
            done.set()

        def answer() -> T | Unseen:
            if done.wait(max(0.0, self._deadline - time.monotonic())):
                return found[0]
            return Unseen(f"cut off: there was no answer within {self.limit:g} s")

        threading.Thread(target=run, daemon=True).start()
        return answer


def why_not(error: TurnoutError) -> Unseen:
    """A failure of what was asked itself, unless it is a host or a value that other checks name."""
    failures = getattr(error, "failures", (error,))
    elsewhere = any(isinstance(one, Unreachable | BadInput) for one in failures)
    fact = error.fact.removeprefix(f"{getattr(error, 'host', '')}: ")
    return Unseen(fact, "elsewhere" if elsewhere else "failed", from_hint(error.hint) if error.hint else None)


def examine(session: Session, limit: float = LIMIT) -> Evidence:
    """Look at all of it. What could not be looked at in time, or at all, is told in its place."""
    environment = session.environment
    questions = Questions(limit, 2 * len(environment.hosts) + 11)
    ask = questions.ask
    hosts = {name: ask(partial(session.look_over, session.fleet[name], True)) for name in environment.hosts}
    looks = {name: ask(partial(session.look, session.fleet[name])) for name in environment.run_hosts}

    def observed() -> dict[str, Observed | Unseen]:
        found = {name: answer() for name, answer in looks.items()}
        return {**found, **session.of_one_mind({name: one for name, one in found.items() if isinstance(one, Observed)})}

    # Each of these answers that its subject is not there where the environment has none; its check says so first.
    database, bucket = ask(partial(_doorway, session)), ask(partial(_bucket, session))
    copy = ask(partial(_copy, session))
    points, schedule = ask(partial(_points, session)), ask(partial(_schedule, session))
    lacking = ask(partial(unreadable, environment, PROJECT, os.environ))
    custody = ask(lambda: (session.ages(), session.separation()))
    archiving, pending = ask(partial(_archiving, session)), ask(partial(_pending, session, observed))
    return Evidence(
        session.name,
        environment,
        datetime.now(UTC),
        hosts={name: answer() for name, answer in hosts.items()},
        observed=observed(),
        unreadable=lacking(),
        custody=custody(),
        database=database(),
        bucket=bucket(),
        in_clear=_in_clear(environment.backup, "backup"),
        copy=copy(),
        copy_in_clear=_in_clear(environment.backup and environment.backup.copy_to, "backup.copy"),
        points=points(),
        schedule=schedule(),
        archiving=archiving(),
        pending=pending(),
    )


def _doorway(session: Session) -> Doorway:
    from fabfile.database.doorway import doorway

    return doorway(session.postgres)


def _bucket(session: Session) -> tuple[Finding, ...]:
    settings = _backup(session)
    return _settings(session.store, settings, settings.safeguards)


def _copy(session: Session) -> tuple[Finding, ...]:
    settings = _backup(session)
    return _settings(session.second_store, settings.copy_to or settings, settings.safeguards)


def _settings(store: Store, settings: BucketSettings, safeguards: SafeguardSettings) -> tuple[Finding, ...]:
    from fabfile.planning.bucket import wanted
    from fabfile.storage.bucket import bucket_findings
    from fabfile.storage.s3 import S3Store

    assert isinstance(store, S3Store), "sessions have no other"
    return bucket_findings(store, wanted(settings, safeguards))


def _in_clear(settings: BucketSettings | None, section: str) -> bool:
    try:
        endpoint = resolve_endpoint(settings, PROJECT, os.environ, section) if settings else None
    except BadInput:
        return False
    return bool(endpoint and endpoint.startswith("http://"))


def _points(session: Session) -> tuple[RecoveryPoint, ...]:
    from fabfile.recovery.catalogue import Catalogue

    settings = _backup(session)
    return tuple(Catalogue(session.store, settings.prefix, session.environment.app, session.name).points())


def _backup(session: Session) -> BackupSettings:
    if session.environment.backup is None:
        raise BadInput(f"hosts/{session.name}.yml has no backup section", "hosts/example.yml shows one")
    return session.environment.backup


def _schedule(session: Session) -> Schedule:
    _backup(session)
    return Schedule(*standing(session))


def _archiving(session: Session) -> str | None:
    return session.physical.problem(session.physical.look()) if session.physical else None


def _pending(session: Session, observed: Callable[[], Mapping[str, Observed | Unseen]]) -> frozenset[tuple[int, str]]:
    from fabfile.migrations import running

    applied = {row.key for row in session.ledger.applied()}
    seen = {name: found for name, found in observed().items() if isinstance(found, Observed)}
    return frozenset(key for _, held in running(session, seen) for key in held) - applied
