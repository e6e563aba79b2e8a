"""The versions table in the application's database, and migrations applied to it: once each, whole, one at a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from fabfile.config.migrations import MigrationSettings
from fabfile.database import statements
from fabfile.database.postgres import Connection, Postgres
from fabfile.errors import DatabaseError
from fabfile.model.migration import Applied, Migration
from fabfile.planning.migration_files import is_patient, is_transactional

WAIT = 10.0
"""Seconds that another migration gets to end."""
ATTEMPTS = 5
"""How often a lock is waited for; in between, whoever queued behind us gets on."""
LONGEST = 86_400.0
"""Seconds that all batches of one migration may take."""
NEWS = 10.0
"""Seconds between two words about batches that go on."""
SILENCE = 60.0
"""Seconds after which a session is ended that hears nothing from us between two statements: this machine may be dead,
and sshd may not notice for hours, in which nobody could migrate or, within a transaction, use the tables."""

IN_TRANSACTION = psycopg.pq.TransactionStatus.INTRANS

Tell = Callable[[str], None]


@dataclass(frozen=True)
class _Work:
    """One file on its way: whose it is, and where the database stands if it fails."""

    name: str
    text: str
    reached: str
    remedy: str = "correct it, inv build, and type the command again"


class PostgresLedger:
    """A `Ledger`. Files run as the database's owner, whom what they make belongs to; RESET ROLE in one of them returns
    to `database.user`, as CREATE EXTENSION may need."""

    def __init__(self, postgres: Postgres, settings: MigrationSettings) -> None:
        self._postgres, self._settings = postgres, settings

    def applied(self) -> tuple[Applied, ...]:
        """See `Ledger.applied`."""
        with self._postgres.connected() as connection:
            return _applied(connection)

    def apply(self, wanted: Sequence[Migration], release: str, run: str, tell: Tell) -> None:
        """See `Ledger.apply`."""
        with self._alone() as connection:
            self._become_owner(connection)
            connection.execute(statements.CREATE_VERSIONS)
            rows = {row.version: row for row in _applied(connection)}
            newest = max(rows.values(), key=lambda row: row.version, default=None)
            reached = f"at {newest.name}" if newest else "before its first migration"
            for migration in wanted:
                row = rows.get(migration.version)
                if row and row.key != migration.key:
                    fact = f"{migration.name}.sql is not what was applied as {row.version} from {row.release}"
                    raise DatabaseError(fact, "compare them: inv migrate.status")
                if row is None:
                    work = _Work(migration.name, migration.sql, reached)
                    seconds = self._apply(connection, migration, work, release, run, tell)
                    tell(f"{migration.name} ({migration.phase}) applied in {seconds:.1f} s")
                reached = f"at {migration.name}"

    def take_back(self, row: Applied, tell: Tell) -> None:
        """See `Ledger.take_back`."""
        assert row.down is not None, "what cannot be taken back is not asked to"
        with self._alone() as connection:
            if row.key not in {other.key for other in _applied(connection)}:
                return
            remedy = f"do by hand what it should have done, and take {row.version} out of turnout_migrations"
            work = _Work(f"{row.name}_down", row.down, f"at {row.name}", remedy)

            def forget() -> None:
                self._become_owner(connection)
                connection.execute(statements.FORGET_VERSION, [row.version])

            if is_transactional(row.down):
                self._whole(connection, work, forget, tell)
            else:
                self._as_it_is(connection, work, forget)
            tell(f"{row.name} ({row.phase}) taken back")

    def _apply(
        self, connection: Connection, migration: Migration, work: _Work, release: str, run: str, tell: Tell
    ) -> float:
        began = time.monotonic()

        def note() -> None:
            self._become_owner(connection)
            m, seconds = migration, time.monotonic() - began
            values = (m.version, m.name, m.phase, m.checksum, seconds, release, run, m.down)
            connection.execute(statements.NOTE_VERSION, values)

        if migration.pause is not None:
            self._in_batches(connection, work, migration.pause, note, tell)
        elif migration.transactional:
            self._whole(connection, work, note, tell)
        else:
            self._as_it_is(connection, work, note)
        return time.monotonic() - began

    def _whole(self, connection: Connection, work: _Work, note: Callable[[], None], tell: Tell) -> None:
        """In one transaction, which its row belongs to."""

        def attempt() -> None:
            self._prepare(connection, work.text)
            with _explained(connection, work), connection.transaction():
                (ours,) = _only(connection)
                connection.execute(work.text.encode())
                if connection.info.transaction_status != IN_TRANSACTION or _only(connection) != (ours,):
                    raise DatabaseError(
                        f"{work.name}.sql ends its transaction itself, so part of it is applied and not noted",
                        "take COMMIT and ROLLBACK out of it; what it did before them has to be undone by hand",
                    )
                note()

        self._patiently(attempt, work, tell)

    def _as_it_is(self, connection: Connection, work: _Work, note: Callable[[], None]) -> None:
        """Outside a transaction: an index that an earlier attempt left half-built is dropped first, for IF NOT EXISTS
        would take it for what is wanted."""
        self._prepare(connection, work.text)
        with _explained(connection, work, kept=True):
            for schema, name in _broken(connection, work.text):
                connection.execute(sql.SQL("DROP INDEX CONCURRENTLY {}").format(sql.Identifier(schema, name)))
            connection.execute(work.text.encode())
            if connection.info.transaction_status == IN_TRANSACTION:
                fact = f"{work.name}.sql leaves a transaction open, so nothing that it did in there is kept"
                raise DatabaseError(fact, "take BEGIN out of it")
            if left := _broken(connection, work.text):
                fact = f"{work.name}.sql left the index {left[0][1]} half-built"
                raise DatabaseError(fact, "type the command again: the next attempt drops it and builds it anew")
            note()

    def _in_batches(
        self, connection: Connection, work: _Work, pause: float, note: Callable[[], None], tell: Tell
    ) -> None:
        """The statement again and again, each time in a transaction of its own, until it changes no row."""
        began = told = time.monotonic()
        total = changed = 0
        self._prepare(connection, work.text, pause)

        def attempt() -> None:
            nonlocal changed
            with _explained(connection, work, kept=True), connection.transaction():
                changed = max(connection.execute(work.text.encode()).rowcount, 0)
                if not changed:
                    note()

        while True:
            self._patiently(attempt, work, tell)
            total += changed
            if not changed:
                tell(f"{work.name}: {total} rows changed in batches")
                return
            now = time.monotonic()
            if now - told >= NEWS:
                told = now
                tell(f"{work.name}: {total} rows so far")
            if now - began > LONGEST:
                raise DatabaseError(
                    f"{work.name}.sql still changes rows after {LONGEST / 3600:.0f} hours",
                    "let its WHERE leave out the rows that are done",
                )
            time.sleep(pause)

    def _patiently(self, attempt: Callable[[], None], work: _Work, tell: Tell) -> None:
        """Try again where a lock could not be had: by then the long query in front of us may be over."""
        for number in range(1, ATTEMPTS + 1):
            try:
                attempt()
                return
            except DatabaseError as error:
                if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable) or number == ATTEMPTS:
                    raise
                tell(f"{work.name}: no lock within {self._settings.lock_timeout:g} s, so it is tried again")
                time.sleep(self._settings.lock_timeout)

    def _prepare(self, connection: Connection, text: str, pause: float = 0.0) -> None:
        """A session as good as new, whatever the file before has set; `pause` is how long it is left idle at times."""
        connection.execute("RESET SESSION AUTHORIZATION")
        connection.execute("RESET ALL")
        limits = {
            "statement_timeout": self._settings.timeout,
            "lock_timeout": 0.0 if is_patient(text) else self._settings.lock_timeout,
            "idle_in_transaction_session_timeout": SILENCE,
        }
        if connection.info.server_version >= 140_000:
            limits["client_connection_check_interval"] = 2.0  # else it works on for a machine that is dead
            limits["idle_session_timeout"] = SILENCE + max(pause, self._settings.lock_timeout)
        values = {key: str(max(1, round(seconds * 1000)) if seconds else 0) for key, seconds in limits.items()}
        values["row_security"] = "on"
        for key, value in values.items():
            connection.execute(statements.CONFIGURE, [key, value])
        self._become_owner(connection)

    def _become_owner(self, connection: Connection) -> None:
        owner = connection.execute(statements.OWNER).fetchone()
        assert owner
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(owner[0])))

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A session beside which there is no other migration and no dump. It ends with the lock."""
        with self._postgres.connected() as connection:
            connection.prepare_threshold = None  # what files do to the session must not matter to us
            deadline = time.monotonic() + WAIT
            while busy := _busy(connection):
                if time.monotonic() > deadline:
                    raise DatabaseError(
                        f"{self._postgres.live}: {busy}, for {WAIT:.0f} s now, and nothing may be migrated meanwhile",
                        "see who: SELECT * FROM pg_stat_activity WHERE application_name IN ('turnout', 'pg_dump')",
                    )
                time.sleep(0.2)
            yield connection


@contextmanager
def _explained(connection: Connection, work: _Work, kept: bool = False) -> Iterator[None]:
    """Say which file and line failed, and where the database is now."""
    try:
        yield
    except psycopg.Error as error:
        if connection.closed:
            raise DatabaseError(
                f"the connection was lost while {work.name}.sql was applied: {str(error).strip()}",
                "whether it is applied says inv migrate.status",
            ) from error
        diagnosis = error.diag
        position = int(diagnosis.statement_position or 0)
        line = f":{work.text.count(chr(10), 0, position - 1) + 1}" if position else ""
        message = diagnosis.message_primary or str(error).strip()
        details = [text for text in (diagnosis.message_detail, diagnosis.message_hint, diagnosis.context) if text]
        stays = "part of {} may be kept, and it can be run again" if kept else "nothing of {} is kept"
        raise DatabaseError(
            f"{work.name}.sql{line}: {message}",
            "try when it is quieter: SELECT * FROM pg_stat_activity" if _is_lock(error) else work.remedy,
            [*details, f"the database is {work.reached}; {stays.format(work.name)}"],
        ) from error


def _busy(connection: Connection) -> str:
    """Who must end first; "" once the lock is ours and nobody dumps, with or without it."""
    if connection.execute(statements.MIGRATE_ALONE).fetchone() != (True,):
        return "another migration or a backup is at work"
    dump = connection.execute(statements.DUMPING).fetchone()
    return f"a pg_dump is at work (pid {dump[0]})" if dump else ""


def _is_lock(error: psycopg.Error) -> bool:
    return isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected)


def _only(connection: Connection) -> tuple[object, ...]:
    found = connection.execute("SELECT pg_current_xact_id()::text").fetchone()
    assert found
    return found


def _applied(connection: Connection) -> tuple[Applied, ...]:
    if connection.execute(statements.HAS_VERSIONS).fetchone() != (True,):
        return ()
    return tuple(Applied(*row) for row in connection.execute(statements.VERSIONS))


def _broken(connection: Connection, text: str) -> list[tuple[str, str]]:
    """Half-built indexes that this file names, and nobody is building."""
    found = connection.execute(statements.BROKEN_INDEXES).fetchall()
    return [(schema, name) for schema, name in found if re.search(rf"\b{re.escape(name)}\b", text)]
