"""The database adapter on a real PostgreSQL behind a real SSH tunnel."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg
import pytest
from pydantic import SecretStr

from fabfile.commands import pg_dump
from fabfile.database.port import DIRECTORY
from fabfile.database.postgres import Postgres
from fabfile.errors import BadInput, DatabaseError, Refused, RemoteError
from fabfile.lab.lab import Lab
from fabfile.model.database_server import Role
from fabfile.planning.restorable import what_is_missing
from tests.contract.database_server import Server, fresh

pytestmark = pytest.mark.lab


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with fresh(lab) as found:
        yield found


def dumped(server: Server) -> bytes:
    with server.database.dump(server.name) as dump:
        return b"".join(dump.chunks)


def properties(server: Server, name: str) -> list[tuple[object, ...]]:
    """What belongs to a database and not to its content, its name apart."""
    query = """
    SELECT datdba, encoding, datlocprovider, datcollate, datctype, daticulocale, datconnlimit, dattablespace,
        (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a), shobj_description(d.oid, 'pg_database'),
        (SELECT array_agg(setrole || ': ' || setconfig::text ORDER BY setrole) FROM pg_db_role_setting
            WHERE setdatabase = d.oid)
    FROM pg_database d WHERE datname = %s
    """
    return server.ask("postgres", query, name)


def adorn(server: Server) -> None:
    """Give the live database one of everything that stays with a database when its content is replaced."""
    name = server.name
    server.ask("postgres", "ALTER DATABASE {name} CONNECTION LIMIT 40", name=name)
    server.ask("postgres", """ALTER DATABASE {name} SET search_path TO "$user", 'odd, "path"', public""", name=name)
    server.ask("postgres", "ALTER DATABASE {name} SET app.motto TO 'it''s, \"so\"'", name=name)
    server.ask("postgres", "ALTER DATABASE {name} SET work_mem TO '7MB'", name=name)
    server.ask("postgres", "ALTER ROLE app IN DATABASE {name} SET statement_timeout TO '5s'", name=name)
    server.ask("postgres", "REVOKE ALL ON DATABASE {name} FROM PUBLIC", name=name)
    server.ask("postgres", "GRANT CONNECT ON DATABASE {name} TO pg_monitor WITH GRANT OPTION", name=name)
    server.ask("postgres", "COMMENT ON DATABASE {name} IS 'it''s the shop'", name=name)


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


def test_a_dump_restores_to_the_same_rows_owner_and_size(server: Server) -> None:
    server.fill(server.name)
    with server.database.dump(server.name) as dump:
        data = b"".join(dump.chunks)
    server.database.create_beside(server.new, server.name)
    server.database.load(server.new, [data])
    restored = server.database.describe(server.new)
    assert (restored.tables, restored.owner) == (dump.facts.tables, "app")
    assert server.content(server.new) == server.content(server.name)
    assert server.ask(server.new, "SELECT tableowner FROM pg_tables WHERE tablename = 'items'") == [("app",)]
    assert server.left_behind() == ""


def test_facts_and_dump_are_of_one_moment_while_others_write(server: Server) -> None:
    server.fill(server.name)
    with server.database.dump(server.name) as dump:
        server.ask(server.name, "INSERT INTO items SELECT i, 'late' FROM generate_series(2001, 2500) i")
        data = b"".join(dump.chunks)
    server.database.create_beside(server.new, server.name)
    server.database.load(server.new, [data])
    assert dump.facts.tables["public.items"] == 1000
    assert server.database.describe(server.new).tables == dump.facts.tables


def test_a_dump_whose_backend_is_ended_raises_instead_of_ending(server: Server) -> None:
    server.fill(server.name, rows=60_000)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND application_name = 'pg_dump'"
    with server.database.dump(server.name) as dump:
        received = len(next(dump.chunks))
        assert server.ask("postgres", ended, server.name) == [(True,)]
        with pytest.raises(RemoteError, match="pg_dump: error"):
            for chunk in dump.chunks:
                received += len(chunk)
    assert received > 0
    assert server.left_behind() == ""


def test_leaving_a_dump_early_ends_pg_dump(server: Server) -> None:
    server.fill(server.name, rows=60_000)
    with server.database.dump(server.name) as dump:
        next(dump.chunks)
    deadline = time.monotonic() + 10
    while server.ask("postgres", "SELECT 1 FROM pg_stat_activity WHERE datname = %s", server.name):
        assert time.monotonic() < deadline
    assert server.left_behind() == ""


def test_a_dump_cut_anywhere_does_not_restore(server: Server) -> None:
    server.fill(server.name, rows=2000)
    data = dumped(server)
    for length in (0, 1, len(data) // 2, len(data) - 1):
        server.database.drop(server.new)
        server.database.create_beside(server.new, server.name)
        with pytest.raises(RemoteError, match="did not arrive whole"):
            server.database.load(server.new, [data[:length]])
    assert server.left_behind() == ""


def in_parallel(server: Server) -> Postgres:
    return Postgres(server.settings.model_copy(update={"jobs": 2}), SecretStr(server.password), server.host)


@pytest.mark.parametrize("restoring", [1, 2])
def test_a_dump_in_parallel_is_of_one_moment_and_restores_with_any_number_of_jobs(
    server: Server, restoring: int
) -> None:
    server.fill(server.name, rows=2000)
    with in_parallel(server).dump(server.name) as dump:
        server.ask(server.name, "INSERT INTO items SELECT i, 'late' FROM generate_series(2001, 2500) i")
        data = b"".join(dump.chunks)
    assert dump.file == DIRECTORY
    server.database.create_beside(server.new, server.name)
    (server.database if restoring == 1 else in_parallel(server)).load(server.new, [data[:9], data[9:]])
    assert dump.facts.tables["public.items"] == 1000
    assert server.database.describe(server.new).tables == dump.facts.tables
    assert server.left_behind() == ""


def test_a_dump_in_parallel_that_is_ended_or_cut_is_of_no_use_and_leaves_nothing(server: Server) -> None:
    server.fill(server.name, rows=60_000)
    with in_parallel(server).dump(server.name) as dump:
        next(dump.chunks)
    with in_parallel(server).dump(server.name) as dump:
        data = b"".join(dump.chunks)
    server.database.create_beside(server.new, server.name)
    with pytest.raises(RemoteError, match=r"did not arrive whole|premature end"):
        server.database.load(server.new, [data[:-1]])
    assert server.database.describe(server.new).tables == {}
    assert server.left_behind() == ""


def test_a_dump_in_parallel_is_refused_where_the_disk_has_no_room_for_it(server: Server) -> None:
    settings = server.settings.model_copy(update={"jobs": 2})
    script = pg_dump.dump(settings, server.name, 15, SecretStr(server.password), size=1 << 60)
    with pytest.raises(RemoteError, match=r"/var/tmp has \d+ bytes free, and a dump in parallel may take") as refused:
        b"".join(server.host.stream(script))
    assert any("database.jobs to 1" in line for line in refused.value.details)
    assert server.left_behind() == ""


def test_the_password_is_in_no_argument_environment_or_file(server: Server) -> None:
    server.fill(server.name, rows=60_000)
    with server.database.dump(server.name) as dump:
        next(dump.chunks)
        look = "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n'"
        seen = server.lab.execute("db", "sh", "-c", look, user="deploy")
    assert "pg_dump" in seen
    assert "PGPASSFILE=/proc/self/fd/8" in seen
    assert server.password not in seen
    assert server.password not in repr(dump)
    assert server.password not in repr(pg_dump.dump(server.settings, "x", 15, SecretStr(server.password)))


def test_a_client_older_than_the_server_is_refused_before_it_starts(server: Server) -> None:
    script = pg_dump.dump(server.settings, server.name, 99, SecretStr(server.password))
    with pytest.raises(RemoteError, match=r"pg_dump 15 is older than the server, PostgreSQL 99") as refused:
        b"".join(server.host.stream(script))
    assert "install postgresql-client-99 here" in refused.value.details


def test_a_new_database_has_locale_and_owner_of_the_other_one(server: Server) -> None:
    server.ask(
        "postgres",
        "CREATE DATABASE {name} TEMPLATE template0 OWNER app ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'de-AT'"
        " LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        name=server.kept,
    )
    server.database.create_beside(server.new, server.kept)
    assert properties(server, server.new) == properties(server, server.kept)


def test_a_database_is_made_from_nothing_once_and_empty(server: Server) -> None:
    server.ask("postgres", "CREATE DATABASE {other} OWNER app TEMPLATE template0", other=server.kept)
    for _ in range(2):
        server.database.create(server.new, "app", "UTF8")
    assert properties(server, server.new) == properties(server, server.kept)
    assert server.database.describe(server.new).tables == {}
    server.fill(server.new)
    server.database.create(server.new, "turnout", "SQL_ASCII")
    assert server.database.describe(server.new).tables["public.items"] == 1000
    assert properties(server, server.new) == properties(server, server.kept)


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


def test_carrying_over_twice_gives_the_new_database_all_that_the_old_one_had_and_no_more(server: Server) -> None:
    adorn(server)
    server.database.create_beside(server.new, server.name)
    server.ask("postgres", "ALTER DATABASE {new} SET work_mem TO '9MB'", new=server.new)
    server.ask("postgres", "ALTER DATABASE {new} SET temp_buffers TO '9MB'", new=server.new)
    server.ask("postgres", "GRANT CREATE ON DATABASE {new} TO pg_monitor", new=server.new)
    for _ in range(2):
        server.database.carry_over(server.name, server.new)
        assert properties(server, server.new) == properties(server, server.name)
    assert server.ask(server.new, "SHOW search_path") == [('"$user", "odd, ""path""", public',)]


class Crowd:
    """Clients that connect, read which database they are in and leave, over and over."""

    def __init__(self, server: Server, clients: int) -> None:
        self.answers: list[str] = []
        self.surprises: list[Exception] = []
        self._server, self._stop = server, threading.Event()
        self._threads = [threading.Thread(target=self._come_and_go) for _ in range(clients)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self) -> list[str]:
        """The next twenty answers."""
        before, deadline = len(self.answers), time.monotonic() + 20
        while len(self.answers) < before + 20:
            assert time.monotonic() < deadline, "no client gets an answer any more"
            time.sleep(0.01)
        return self.answers[before:]

    def _come_and_go(self) -> None:
        while not self._stop.is_set():
            try:
                with self._server.connect(self._server.name) as connection:
                    for _ in range(3):
                        (answer,) = connection.execute("SELECT label FROM which").fetchone() or ("",)
                        self.answers.append(answer)
            except psycopg.OperationalError:
                continue  # thrown out, or not let in: what a swap does to clients
            except Exception as error:
                self.surprises.append(error)


@pytest.fixture
def swappable(server: Server) -> Server:
    """A live database that says `old`, and a new one that says `new`."""
    adorn(server)
    server.database.create_beside(server.new, server.name)
    for name, label in ((server.name, "old"), (server.new, "new")):
        server.ask(name, "CREATE TABLE public.which (label text)")
        server.ask(name, "INSERT INTO public.which VALUES (%s)", label)
    server.database.carry_over(server.name, server.new)
    return server


def label(server: Server, name: str) -> str:
    return str(server.ask(name, "SELECT label FROM public.which")[0][0])


def doors(server: Server) -> dict[str, bool]:
    found = server.ask(
        "postgres", "SELECT datname, datallowconn FROM pg_database WHERE starts_with(datname, %s)", server.name
    )
    return dict(found)


def test_a_swap_among_eight_clients_gives_them_the_new_database_with_the_old_settings(swappable: Server) -> None:
    server = swappable
    wanted = properties(server, server.name)
    with Crowd(server, 8) as crowd:
        server.database.swap(server.name, server.new, server.kept)
        assert set(crowd.wait_for_more()[8:]) == {"new"}
    assert crowd.surprises == []
    assert doors(server) == {server.name: True, server.kept: False}
    assert properties(server, server.name) == properties(server, server.kept) == wanted


def test_a_client_that_keeps_coming_back_is_kept_out_for_a_moment(
    swappable: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server, silences = swappable, []
    stop = threading.Event()

    def come_back() -> None:
        heard = time.monotonic()
        while not stop.is_set():
            try:
                with server.connect(server.name) as connection:
                    connection.execute("SELECT 1")
            except psycopg.OperationalError:
                continue
            silences.append((time.monotonic() - heard, heard))
            heard = time.monotonic()

    client = threading.Thread(target=come_back)
    client.start()
    time.sleep(1)
    before = time.monotonic()
    server.database.swap(server.name, server.new, server.kept)
    took = time.monotonic() - before
    time.sleep(1)
    stop.set()
    client.join()
    calm = max(silence for silence, since in silences if since + silence < before)
    out = max(silence for silence, since in silences if since + silence > before)
    with capsys.disabled():
        print(
            f"\na swap took {took:.3f} s; a client that keeps coming back was out for {out:.3f} s ({calm:.3f} without)"
        )
    assert out < 5
    assert label(server, server.name) == "new"


def test_a_swap_done_twice_is_done_once_and_opens_the_live_database(swappable: Server) -> None:
    server = swappable
    server.database.swap(server.name, server.new, server.kept)
    server.ask("postgres", "ALTER DATABASE {name} ALLOW_CONNECTIONS false", name=server.name)
    server.database.swap(server.name, server.new, server.kept)
    assert label(server, server.name) == "new"
    assert doors(server) == {server.name: True, server.kept: False}


def test_swapping_back_gives_back_exactly_what_was(swappable: Server) -> None:
    server = swappable
    oid = server.ask("postgres", "SELECT oid FROM pg_database WHERE datname = %s", server.name)
    before = properties(server, server.name)
    server.database.swap(server.name, server.new, server.kept)
    server.database.swap(server.name, server.kept, server.new)
    assert server.ask("postgres", "SELECT oid FROM pg_database WHERE datname = %s", server.name) == oid
    assert properties(server, server.name) == before
    assert label(server, server.name) == "old"
    assert doors(server) == {server.name: True, server.new: False}


def test_a_swap_that_the_server_refuses_leaves_both_as_they_were_and_open(swappable: Server) -> None:
    server = swappable
    impossible = ""
    with pytest.raises(DatabaseError, match="zero-length"):
        server.database.swap(server.name, server.new, impossible)
    assert doors(server) == {server.name: True, server.new: True}
    assert (label(server, server.name), label(server, server.new)) == ("old", "new")


@pytest.mark.parametrize("missing", ["name", "new"])
def test_a_swap_without_both_databases_is_refused_and_closes_nothing(server: Server, missing: str) -> None:
    there = server.name if missing == "new" else server.new
    if missing == "name":
        server.ask("postgres", "ALTER DATABASE {name} RENAME TO {new}", name=server.name, new=server.new)
    with pytest.raises(DatabaseError, match="does not exist"):
        server.database.swap(server.name, server.new, server.kept)
    assert doors(server) == {there: True}


def test_a_swap_never_takes_a_name_that_is_in_use(swappable: Server) -> None:
    server = swappable
    server.database.create_beside(server.kept, server.name)
    with pytest.raises(DatabaseError, match=f"{server.kept} exists already"):
        server.database.swap(server.name, server.new, server.kept)
    assert doors(server) == {server.name: True, server.new: True, server.kept: True}
    assert label(server, server.name) == "old"


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
