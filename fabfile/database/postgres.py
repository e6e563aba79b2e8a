"""PostgreSQL 13 and later through a tunnel to the host beside it; the only module that knows psycopg."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import LiteralString

import psycopg
import zstandard
from psycopg import sql
from psycopg.rows import TupleRow
from pydantic import SecretStr

from fabfile.commands import disk, pg_dump
from fabfile.config.database import DatabaseSettings
from fabfile.database import statements
from fabfile.database.port import CUSTOM, DIRECTORY, Dump
from fabfile.errors import DatabaseError, Refused, TurnoutError
from fabfile.model.database_server import Role, ServerFacts
from fabfile.model.recovery_point import DatabaseFacts
from fabfile.model.script import Script
from fabfile.planning.smoke import Rows, rows_differ
from fabfile.remote.port import Host

MAINTENANCE = "postgres"
"""The database from which others are made, renamed and dropped."""
BOOLEAN = 16
"""The OID of that type."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECT = 10
STATEMENT = 600.0
LOCK = 10.0
EXPEL = 10.0
"""Seconds: to connect, for one statement, to wait for a lock, and to end the sessions on a database."""

Connection = psycopg.Connection[TupleRow]

# psycopg logs that it could not roll back where a connection broke; the error that we raise says it in a sentence.
logging.getLogger("psycopg").setLevel(logging.CRITICAL + 1)


class Postgres:
    """A `Database`; each operation has a connection of its own."""

    def __init__(self, settings: DatabaseSettings, password: SecretStr, host: Host) -> None:
        self._settings, self._password, self._host = settings, password, host

    @property
    def live(self) -> str:
        """See `Database.live`."""
        return self._settings.name

    def server(self) -> ServerFacts:
        """See `Database.server`."""
        with self._session() as connection:
            roles, extensions = _row(connection, statements.SERVER)
            return ServerFacts(_version(connection), frozenset(roles), frozenset(extensions))

    def describe(self, name: str) -> DatabaseFacts:
        """See `Database.describe`."""
        with self._snapshot(name) as connection:
            return self._facts(connection, name)

    def exists(self, name: str) -> bool:
        """See `Database.exists`."""
        with self._session() as connection:
            return _exists(connection, name)

    def names_like(self, prefix: str) -> tuple[str, ...]:
        """See `Database.names_like`."""
        with self._session() as connection:
            return tuple(name for (name,) in connection.execute(statements.NAMES_LIKE, [prefix]))

    def size(self, name: str) -> int:
        """See `Database.size`."""
        with self._session() as connection:
            found = connection.execute(statements.SIZE, [name]).fetchone()
            if found is None:
                raise DatabaseError(f"{self._at(name)}: does not exist", "see what there is: psql -l")
            return int(found[0])

    def free_bytes(self) -> int | None:
        """See `Database.free_bytes`; known where the server is on our host and tells its directory."""
        if self._settings.host not in LOOPBACK:
            return None
        with self._session() as connection:
            found = connection.execute(statements.PLACE, [self.live]).fetchone()
        if found is None or found[0] is None:
            return None
        return disk.parse_free(self._host.run(disk.free(found[0])).stdout)

    def create(self, name: str, owner: str, encoding: str) -> None:
        """See `Database.create`."""
        with self._session() as connection:
            if not _exists(connection, name):
                connection.execute(statements.create_new(name, owner, encoding))

    def create_beside(self, new: str, like: str) -> None:
        """See `Database.create_beside`."""
        with self._session() as connection:
            if _exists(connection, new):
                raise DatabaseError(f"{self._at(new)}: exists already", "drop it first, or choose another name")
            connection.execute(statements.create(new, self._properties(connection, like)))

    def carry_over(self, old: str, new: str) -> None:
        """See `Database.carry_over`."""
        with self._session() as connection, connection.transaction():
            properties, target = self._properties(connection, old), self._properties(connection, new)
            for statement in statements.carry_over(new, properties, target):
                connection.execute(statement)

    def swap(self, live: str, new: str, kept: str) -> None:
        """See `Database.swap`."""
        with self._session() as connection:
            there = {name for name in (live, new, kept) if _exists(connection, name)}
            if there == {live, kept}:
                connection.execute(statements.allow_connections(live, True))
                return
        if there != {live, new}:
            wrong = f"{kept} exists already" if kept in there else f"{live if new in there else new} does not exist"
            raise DatabaseError(f"{self._at(live)}: {new} cannot take its place: {wrong}", "see what there is: psql -l")
        try:
            with self._session() as connection:
                self._rename(connection, live, new, kept)
        except BaseException as error:
            self._reopen((live, new), error)
            raise

    def drop(self, name: str) -> None:
        """See `Database.drop`."""
        if name == self.live:
            raise Refused(f"{self._at(name)}: is the live database and is not dropped", "name the database to drop")
        with self._session() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """See `Database.held`; an advisory lock, which ends with its session."""
        with self._session() as connection:
            (ours,) = _row(connection, sql.SQL(statements.HOLD).format(sql.Literal(name)))
            yield ours

    def objection(self, name: str, query: str, seconds: float, rows: Rows | None = None) -> str:
        """See `Database.objection`."""
        with self._session(name, seconds) as connection:
            connection.read_only = True
            try:
                with connection.transaction():
                    cursor = connection.execute(query.encode(), binary=True)
                    if rows is not None:
                        return rows_differ(rows, cursor.fetchall() if cursor.description else [])
                    found = cursor.pgresult
            except psycopg.Error as error:
                if connection.closed:
                    raise
                return str(error).strip().splitlines()[0]
        assert found is not None
        if found.nfields and found.ftype(0) == BOOLEAN:
            if any(found.get_value(row, 0) == b"\x01" for row in range(found.ntuples)):
                return ""
            return f"no row of {found.ntuples} is true in its first column"
        return "its first column is not of type boolean"

    @contextmanager
    def dump(self, name: str) -> Iterator[Dump]:
        """See `Database.dump`."""
        with self._snapshot(name) as connection:
            self._keep_out_migrations(connection, name)
            facts = self._facts(connection, name)
            (snapshot,) = _row(connection, "SELECT pg_export_snapshot()")
            server = _major(connection)
            script = pg_dump.dump(self._settings, name, server, self._password, snapshot, facts.size_bytes)
            with closing(_streamed(self._host, script)) as chunks:
                yield Dump(facts, chunks, DIRECTORY if self._settings.jobs > 1 else CUSTOM)

    def load(self, name: str, chunks: Iterable[bytes]) -> None:
        """See `Database.load`; planner statistics, which a dump has none of, are gathered as well."""
        with self._session(name) as connection:
            server = _major(connection)
        directory, chunks = _is_directory(chunks)
        script = pg_dump.load(self._settings, name, server, self._password, directory)
        self._host.run(script, chain([pg_dump.pgpass(self._settings, self._password)], chunks))
        with self._session(name, pg_dump.LIMIT) as connection:
            connection.execute("ANALYZE")

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """A session in the live database as `database.user`, its failures told as this class tells them."""
        with self._session(self.live) as connection:
            yield connection

    def _keep_out_migrations(self, connection: Connection, name: str) -> None:
        """Until the session ends: a migration that waits behind a dump would make whoever reads wait as well."""
        if _row(connection, statements.DUMP_ALONE) != (True,):
            raise DatabaseError(f"{self._at(name)}: is being migrated", "back it up when that has ended")

    def _at(self, name: str) -> str:
        server = f"PostgreSQL {self._settings.host}:{self._settings.port}"
        return f"{self._settings.via}: {server}, database {name}"

    @contextmanager
    def _session(self, name: str = MAINTENANCE, limit: float = STATEMENT) -> Iterator[Connection]:
        limits = {"statement_timeout": limit, "lock_timeout": LOCK, "idle_in_transaction_session_timeout": 0.0}
        settings = (f"-c {key}={round(seconds * 1000)}" for key, seconds in limits.items())
        with self._host.forward(self._settings.host, self._settings.port) as port, self._explained(name):
            connection = psycopg.connect(
                host="127.0.0.1",
                port=port,
                dbname=name,
                user=self._settings.user,
                password=self._password.get_secret_value(),
                connect_timeout=CONNECT,
                application_name="turnout",
                options=" ".join((*settings, "-c row_security=off", "-c client_encoding=UTF8")),
                autocommit=True,
            )
            with connection:
                yield connection

    @contextmanager
    def _snapshot(self, name: str) -> Iterator[Connection]:
        with self._session(name, pg_dump.LIMIT) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                yield connection

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            message = lines[0].rpartition("FATAL:  ")[2]
            raise DatabaseError(f"{self._at(name)}: {message}", _hint(error, message), lines[1:]) from error

    def _facts(self, connection: Connection, name: str) -> DatabaseFacts:
        """What the snapshot of the running transaction holds."""
        size, owner, encoding, extensions = _row(connection, statements.FACTS)
        tables = {}
        for schema, table, printed in connection.execute(statements.TABLES).fetchall():
            count = sql.SQL("SELECT count(*) FROM ONLY {}").format(sql.Identifier(schema, table))
            (tables[printed],) = _row(connection, count)
        roles = tuple(Role(role, tuple(words), tuple(of)) for role, words, of in connection.execute(statements.ROLES))
        version = self._schema_version(connection, name)
        return DatabaseFacts(_version(connection), size, owner, encoding, extensions, tables, roles, version)

    def _schema_version(self, connection: Connection, name: str) -> str | None:
        """What `database.schema_version` answers; None where its table is not there yet."""
        query = self._settings.schema_version
        if query is None:
            return None
        try:
            with connection.transaction():
                rows = connection.execute(query.encode()).fetchall()
        except psycopg.errors.UndefinedTable:
            return None
        except psycopg.Error as error:
            fact = f"{self._at(name)}: database.schema_version cannot be asked: {str(error).splitlines()[0]}"
            raise DatabaseError(fact, "correct the query in database.schema_version") from error
        if [len(row) for row in rows] != [1]:
            fact = f"{self._at(name)}: database.schema_version gives {len(rows)} rows, not one value"
            raise DatabaseError(fact, "let it select one value, such as SELECT max(version) FROM schema_migrations")
        return None if rows[0][0] is None else str(rows[0][0])

    def _properties(self, connection: Connection, name: str) -> statements.Properties:
        found = connection.execute(statements.PROPERTIES, {"name": name}).fetchone()
        if found is None:
            raise DatabaseError(f"{self._at(name)}: does not exist", "see what there is: psql -l")
        return statements.Properties(*found)

    def _rename(self, connection: Connection, live: str, new: str, kept: str) -> None:
        with connection.transaction():
            for name in (live, new):
                connection.execute(statements.allow_connections(name, False))
        deadline = time.monotonic() + EXPEL
        while True:
            self._expel(connection, [live, new], deadline)
            try:
                with connection.transaction():
                    connection.execute(statements.rename(live, kept))
                    connection.execute(statements.rename(new, live))
                    connection.execute(statements.allow_connections(live, True))
            except psycopg.errors.ObjectInUse:  # somebody had come in just before the doors closed
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def _expel(self, connection: Connection, names: Sequence[str], deadline: float) -> None:
        while busy := connection.execute(statements.EXPEL, [names]).rowcount:
            if time.monotonic() > deadline:
                raise DatabaseError(
                    f"{self._at(names[0])}: {busy} sessions did not end within {EXPEL:.0f} s",
                    "see who it is: SELECT * FROM pg_stat_activity",
                )
            time.sleep(0.02)

    def open(self, name: str) -> None:
        """See `Database.open`."""
        with self._session() as connection:
            if _exists(connection, name):
                connection.execute(statements.allow_connections(name, True))

    def _reopen(self, names: Iterable[str], error: BaseException) -> None:
        try:
            with self._session() as connection:
                for name in names:
                    if _exists(connection, name):
                        connection.execute(statements.allow_connections(name, True))
        except TurnoutError as second:
            line = f"and may be closed to connections still: {second.fact}"
            error.add_note(line)
            if isinstance(error, TurnoutError):
                error.details = (*error.details, line)


def _is_directory(chunks: Iterable[bytes]) -> tuple[bool, Iterator[bytes]]:
    """Whether a compressed dump is a tar of the directory format, and all of its chunks."""
    reader, seen, plain = zstandard.ZstdDecompressor().decompressobj(), [], b""
    rest = iter(chunks)
    for chunk in rest:
        seen.append(chunk)
        try:
            plain += reader.decompress(chunk)
        except zstandard.ZstdError:  # for the host to say: it reads all of it
            break
        if plain or reader.eof:
            break
    return plain.startswith(b"dump/"), chain(seen, rest)


def _streamed(host: Host, script: Script) -> Generator[bytes, None, None]:
    yield from host.stream(script)


def _row(connection: Connection, query: LiteralString | sql.Composed) -> TupleRow:
    found = connection.execute(query).fetchone()
    assert found is not None
    return found


def _exists(connection: Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None


def _major(connection: Connection) -> int:
    return connection.info.server_version // 10_000


def _version(connection: Connection) -> str:
    return "{}.{}".format(*divmod(connection.info.server_version, 10_000))


def _hint(error: psycopg.Error, message: str) -> str:
    if "password authentication failed" in message:
        return "is database.password the password of database.user?"
    if message.startswith("database ") and message.endswith(" does not exist"):
        return "see what there is: psql -l"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return "database.user must be a superuser, or have CREATEDB and own the database"
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
        return "something holds a lock: SELECT * FROM pg_stat_activity WHERE state <> 'idle'"
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
        return "is PostgreSQL running there, and are database.host and database.port right?"
    return ""
