"""Describing, making and refusing databases on a real PostgreSQL behind a real SSH tunnel."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr

from fabfile.commands import pg_dump
from fabfile.database.postgres import Postgres
from fabfile.errors import BadInput, DatabaseError, Refused
from fabfile.model.database_server import Role
from fabfile.planning.restorable import what_is_missing
from tests.contract.database_server import Server

pytestmark = pytest.mark.lab


def test_a_description_has_the_exact_rows_of_every_table(server: Server) -> None:
    server.fill(server.name)
    server.ask(server.name, "CREATE TABLE parts (id int) PARTITION BY RANGE (id)")
    server.ask(server.name, "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10)")
    server.ask(server.name, "INSERT INTO parts VALUES (1), (2)")
    facts = server.database.describe(server.name)
    assert facts.tables == {'"Odd.one"."a b"': 0, "public.items": 1000, "public.large": 100, "public.parts_1": 2}
    assert (facts.owner, facts.encoding, facts.extensions) == ("app", "UTF8", {"plpgsql": "1.0"})
    assert facts.size_bytes > 7_000_000
    assert facts.server_version.startswith("15.")


@contextmanager
def roles(server: Server) -> Iterator[dict[str, str]]:
    """An owner, a group that it belongs to, a grantee, one of default privileges, and a stranger."""
    names = {word: f"{server.name}_{word}" for word in ("owner", "staff", "reader", "later", "stranger")}
    for name in names.values():
        server.ask("postgres", "CREATE ROLE {name}", name=name)
    try:
        yield names
    finally:
        server.ask("postgres", "DROP DATABASE {name} WITH (FORCE)", name=server.name)
        for name in names.values():
            server.ask("postgres", "DROP ROLE {name}", name=name)
        server.ask("postgres", "CREATE DATABASE {name} OWNER app", name=server.name)


def test_a_description_has_every_role_that_the_dump_names_and_no_other(server: Server) -> None:
    server.ask(server.name, "CREATE TABLE items (id int); ALTER TABLE items OWNER TO app")
    with roles(server) as name:
        server.ask("postgres", "ALTER ROLE {owner} LOGIN CREATEDB", owner=name["owner"])
        server.ask("postgres", "GRANT {staff}, pg_monitor TO {owner}", staff=name["staff"], owner=name["owner"])
        server.ask(server.name, "CREATE SCHEMA shop AUTHORIZATION {owner}", owner=name["owner"])
        server.ask(server.name, "GRANT SELECT ON items TO {reader}, pg_monitor", reader=name["reader"])
        server.ask(server.name, "ALTER DEFAULT PRIVILEGES FOR ROLE app GRANT SELECT ON TABLES TO {r}", r=name["later"])
        assert server.database.describe(server.name).roles == (
            Role("app", ("LOGIN",)),
            Role(name["later"]),
            Role(name["owner"], ("CREATEDB", "LOGIN"), ("pg_monitor", name["staff"])),
            Role(name["reader"]),
            Role(name["staff"]),
        )


def test_the_first_superuser_is_named_when_it_owns_something(server: Server) -> None:
    assert [role.name for role in server.database.describe(server.name).roles] == ["app"]
    server.ask(server.name, "CREATE TABLE items (id int); ALTER TABLE items OWNER TO postgres")
    assert [role.name for role in server.database.describe(server.name).roles] == ["app", "postgres"]


def test_a_server_lacks_nothing_of_its_own_dumps_and_everything_of_a_stranger(server: Server) -> None:
    facts, there = server.database.describe(server.name), server.database.server()
    assert what_is_missing(facts, there) == []
    strange = replace(facts, server_version="99.0", owner="nobody", extensions={"none": "1"})
    assert len(what_is_missing(strange, there)) == 3


def test_the_applications_schema_version_is_one_value_or_not_there_yet(server: Server) -> None:
    def version(query: str) -> str | None:
        settings = server.settings.model_copy(update={"schema_version": query})
        return Postgres(settings, SecretStr(server.password), server.host).describe(server.name).schema_version

    query = "SELECT max(version) FROM migrations"
    assert version(query) is None
    server.ask(server.name, "CREATE TABLE migrations (version int)")
    assert version(query) is None
    server.ask(server.name, "INSERT INTO migrations VALUES (7), (12)")
    assert version(query) == "12"
    for wrong in ("SELECT version FROM migrations", "SELECT nonsense FROM migrations", "DELETE FROM migrations"):
        with pytest.raises(DatabaseError, match=r"database\.schema_version"):
            version(wrong)


def test_names_are_found_by_their_beginning_taken_literally(server: Server) -> None:
    server.database.create_beside(server.new, server.name)
    assert server.database.names_like(server.name) == (server.name, server.new)
    assert server.database.names_like(server.name.replace("_", "%")) == ()
    assert server.database.exists(server.new)
    assert not server.database.exists(server.kept)


def test_a_new_database_has_locale_and_owner_of_the_other_one(server: Server) -> None:
    server.ask(
        "postgres",
        "CREATE DATABASE {name} TEMPLATE template0 OWNER app ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'"
        " LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        name=server.kept,
    )
    server.database.create_beside(server.new, server.kept)
    assert server.properties(server.new) == server.properties(server.kept)


def test_a_database_is_made_from_nothing_once_and_empty(server: Server) -> None:
    server.ask("postgres", "CREATE DATABASE {other} OWNER app TEMPLATE template0", other=server.kept)
    for _ in range(2):
        server.database.create(server.new, "app", "UTF8")
    assert server.properties(server.new) == server.properties(server.kept)
    assert server.database.describe(server.new).tables == {}
    server.fill(server.new)
    server.database.create(server.new, "turnout", "SQL_ASCII")
    assert server.database.describe(server.new).tables["public.items"] == 1000
    assert server.properties(server.new) == server.properties(server.kept)


def test_the_space_for_a_database_that_is_not_there_yet_is_known(server: Server) -> None:
    settings = server.settings.model_copy(update={"name": server.new})
    absent = Postgres(settings, SecretStr(server.password), server.host)
    free, known = absent.free_bytes(), server.database.free_bytes()
    assert free is not None and known is not None
    assert abs(free - known) < 64 << 20


def test_a_database_that_exists_is_not_made_again(server: Server) -> None:
    server.fill(server.name)
    server.database.create_beside(server.new, server.name)
    with pytest.raises(DatabaseError, match="exists already"):
        server.database.create_beside(server.new, server.name)
    with pytest.raises(DatabaseError, match="exists already"):
        server.database.create_beside(server.name, server.new)
    assert server.database.describe(server.name).tables["public.items"] == 1000


def test_the_live_database_is_never_dropped_and_any_other_whoever_is_in_it(server: Server) -> None:
    with pytest.raises(Refused):
        server.database.drop(server.name)
    server.database.create_beside(server.new, server.name)
    with closing(server.connect(server.new)):
        server.database.drop(server.new)
    server.database.drop(server.new)
    assert server.database.names_like(server.name) == (server.name,)


def test_an_owner_who_may_create_databases_needs_no_superuser(server: Server) -> None:
    role, secret = f"{server.name}_owner", "odd:pass\\word"
    server.ask("postgres", "CREATE ROLE {role} LOGIN CREATEDB PASSWORD 'odd:pass\\word'", role=role)
    server.ask("postgres", "ALTER DATABASE {live} OWNER TO {role}", live=server.name, role=role)
    settings = server.settings.model_copy(update={"user": role})
    database = Postgres(settings, SecretStr(secret), server.host)
    try:
        server.ask(server.name, "SET ROLE {role}; CREATE SCHEMA s; CREATE TABLE s.t AS SELECT 1 AS i", role=role)
        with database.dump(server.name) as dump:
            data = b"".join(dump.chunks)
        database.create_beside(server.new, server.name)
        database.load(server.new, [data])
        database.carry_over(server.name, server.new)
        database.swap(server.name, server.new, server.kept)
        assert database.describe(server.name).tables == {"s.t": 1}
        database.drop(server.kept)
    finally:
        server.ask("postgres", "ALTER DATABASE {live} OWNER TO app", live=server.name)
        for name in server.database.names_like(server.name):
            server.ask("postgres", "DROP DATABASE {name} WITH (FORCE)", name=name)
        server.ask("postgres", "DROP ROLE {role}", role=role)


def test_failures_say_what_to_do_and_nothing_secret(server: Server) -> None:
    wrong = Postgres(server.settings, SecretStr("hunter2"), server.host)
    with pytest.raises(DatabaseError, match="password authentication failed") as refused:
        wrong.exists("x")
    assert refused.value.hint == "is database.password the password of database.user?"
    assert "hunter2" not in f"{refused.value!r} {refused.value} {refused.value.__cause__!r}"
    with pytest.raises(DatabaseError, match='database "nowhere" does not exist') as absent:
        server.database.describe("nowhere")
    assert absent.value.hint == "see what there is: psql -l"
    with pytest.raises(BadInput, match="line break"):
        pg_dump.pgpass(server.settings, SecretStr("two\nlines"))


def test_a_table_that_somebody_holds_locked_is_not_waited_for_without_end(server: Server) -> None:
    server.fill(server.name)
    with server.connect(server.name) as connection, connection.transaction():
        connection.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        started = time.monotonic()
        with pytest.raises(DatabaseError, match="lock timeout") as refused:
            server.database.describe(server.name)
    assert time.monotonic() - started < 20
    assert "holds a lock" in refused.value.hint
