"""Dumps of a real PostgreSQL: of one moment, restored to the same, and never taken for whole when they are cut."""

from __future__ import annotations

import time

import pytest
from pydantic import SecretStr

from fabfile.commands import pg_dump
from fabfile.database.port import DIRECTORY
from fabfile.database.postgres import Postgres
from fabfile.errors import RemoteError
from tests.contract.database_server import Server

pytestmark = pytest.mark.lab


def dumped(server: Server) -> bytes:
    with server.database.dump(server.name) as dump:
        return b"".join(dump.chunks)


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
