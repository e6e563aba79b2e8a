"""The lab's PostgreSQL as tests use it: directly, through the adapter, and with databases that are gone afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from pydantic import SecretStr

from fabfile.config.database import DatabaseSettings
from fabfile.database.postgres import Postgres
from fabfile.lab.lab import Lab
from fabfile.remote.ssh import SshHost


@dataclass(frozen=True)
class Server:
    """One application's database `name` on the server, and the names of others that a test may make."""

    lab: Lab
    host: SshHost
    name: str

    @property
    def password(self) -> str:
        return self.lab.environment["TURNOUT_DB_PASSWORD"]

    @property
    def settings(self) -> DatabaseSettings:
        return DatabaseSettings(via="db", name=self.name, user="turnout", password="env:TURNOUT_DB_PASSWORD")

    @property
    def database(self) -> Postgres:
        return Postgres(self.settings, SecretStr(self.password), self.host)

    @property
    def new(self) -> str:
        return f"{self.name}_new"

    @property
    def kept(self) -> str:
        return f"{self.name}_kept"

    def connect(self, name: str) -> psycopg.Connection[Any]:
        """A connection that does not go through the adapter."""
        return psycopg.connect(
            host=self.lab.address("db"),
            dbname=name,
            user="turnout",
            password=self.password,
            connect_timeout=5,
            autocommit=True,
        )

    def ask(self, database: str, query: LiteralString, /, *values: object, **names: str) -> list[tuple[Any, ...]]:
        """The rows of one statement in `database`; `{keyword}` in it becomes a quoted name."""
        identifiers = {key: sql.Identifier(value) for key, value in names.items()}
        with self.connect(database) as connection:
            cursor = connection.execute(sql.SQL(query).format(**identifiers), values or None)
            return cursor.fetchall() if cursor.description else []

    def fill(self, name: str, rows: int = 100) -> None:
        """Three tables, one of them with an awkward name and one with `rows` rows as of `grow`."""
        self.ask(name, "CREATE TABLE items (id int PRIMARY KEY, label text); ALTER TABLE items OWNER TO app")
        self.ask(name, "INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 1000) i")
        self.ask(name, 'CREATE SCHEMA "Odd.one"; CREATE TABLE "Odd.one"."a b" (t text)')
        self.ask(name, "CREATE TABLE large (id int, noise text)")
        self.grow(name, rows)

    def grow(self, name: str, rows: int) -> None:
        """More rows in `large`, of about 700 bytes that hardly compress; 60,000 are more than all buffers hold."""
        noise: LiteralString = (
            "INSERT INTO large SELECT i, (SELECT string_agg(md5(i::text || j || random()), '')"
            " FROM generate_series(1, 22) j) FROM generate_series(1, %s) i"
        )
        self.ask(name, noise, rows)

    def content(self, name: str) -> str:
        """One digest over every row of `items` and `large`."""
        query: LiteralString = (
            "SELECT md5((SELECT string_agg(i::text, ',' ORDER BY id) FROM items i)"
            " || (SELECT string_agg(l::text, ',' ORDER BY id) FROM large l))"
        )
        return str(self.ask(name, query)[0][0])

    def properties(self, name: str) -> list[tuple[object, ...]]:
        """What belongs to a database and not to its content, its name apart."""
        query: LiteralString = """
        SELECT datdba, encoding, datlocprovider, datcollate, datctype, daticulocale, datconnlimit, dattablespace,
            (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a), shobj_description(d.oid, 'pg_database'),
            (SELECT array_agg(setrole || ': ' || setconfig::text ORDER BY setrole) FROM pg_db_role_setting
                WHERE setdatabase = d.oid)
        FROM pg_database d WHERE datname = %s
        """
        return self.ask("postgres", query, name)

    def left_behind(self) -> str:
        """What scripts have left in the temporary folders of the host beside the server."""
        return self.lab.execute("db", "find", "/tmp", "/var/tmp", "-maxdepth", "1", "-name", ".turnout*").strip()


@contextmanager
def fresh(lab: Lab) -> Iterator[Server]:
    """A server with a new, empty database of the role `app`."""
    host = SshHost(
        "db", "db", "deploy", None, known_hosts=lab.known_hosts, ssh_config=lab.ssh_config, connect_timeout=10
    )
    server = Server(lab, host, f"shop_{secrets.token_hex(4)}")
    server.ask("postgres", "CREATE DATABASE {name} OWNER app", name=server.name)
    try:
        yield server
    finally:
        for name in server.database.names_like(server.name):
            server.ask("postgres", "DROP DATABASE {name} WITH (FORCE)", name=name)
        host.close()
