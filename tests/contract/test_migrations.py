"""Migrations on a real PostgreSQL: each once and whole, alone, and with nobody held up for long."""

from __future__ import annotations

import threading
import time

import pytest

from fabfile.config.migrations import MigrationSettings
from fabfile.database.ledger import PostgresLedger
from fabfile.errors import DatabaseError
from fabfile.model.migration import Migration
from fabfile.planning.migration_files import read
from tests.contract.database_server import Server

pytestmark = pytest.mark.lab


class Work:
    """A ledger of one database, and what it said."""

    def __init__(self, server: Server, lock_timeout: str = "300ms", timeout: str = "30s") -> None:
        values = {"folder": "migrations", "lock_timeout": lock_timeout, "timeout": timeout}
        self.server, self.told = server, list[str]()
        self.ledger = PostgresLedger(server.database, MigrationSettings.model_validate(values))

    def apply(self, wanted: tuple[Migration, ...], run: str = "r1") -> None:
        self.ledger.apply(wanted, "1.0-abc", run, self.told.append)

    @property
    def names(self) -> list[str]:
        return [row.name for row in self.ledger.applied()]

    def tables(self) -> set[str]:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        return {str(name) for (name,) in self.server.ask(self.server.name, query)} - {"turnout_migrations"}


@pytest.fixture
def work(server: Server) -> Work:
    return Work(server)


def files(*texts: str, **downs: str) -> tuple[Migration, ...]:
    """Migrations 001, 002, … with these texts behind their phase, and down files by number (`d001`)."""
    found = {f"{number:03d}_step.sql": text.encode() for number, text in enumerate(texts, 1)}
    found |= {f"{number[1:]}_step_down.sql": text.encode() for number, text in downs.items()}
    return read(found, "migrations")


def test_each_is_applied_once_in_order_and_belongs_to_the_databases_owner(work: Work) -> None:
    assert work.names == []
    wanted = files(
        "-- expand\nCREATE TABLE a (i int);", "-- contract\nCREATE TABLE b AS SELECT i FROM a;", d001="DROP TABLE a"
    )
    work.apply(wanted[:1])
    work.apply(wanted, "r2")
    work.apply(wanted, "r3")
    first, second = work.ledger.applied()
    assert (first.version, first.name, first.phase, first.checksum) == (1, "001_step", "expand", wanted[0].checksum)
    assert (first.release, first.run, first.down) == ("1.0-abc", "r1", "DROP TABLE a")
    assert (second.version, second.phase, second.run, second.down) == (2, "contract", "r2", None)
    assert first.at.endswith("Z") and 0 <= first.seconds < 30
    owners = work.server.ask(work.server.name, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("app",)]
    assert len(work.told) == 2


def test_the_third_of_five_that_fails_leaves_the_database_at_two(work: Work) -> None:
    good = [f"-- expand\nCREATE TABLE t{number} (i int);" for number in range(1, 6)]
    bad = "-- expand\nCREATE TABLE t3 (i int);\nALTER TABLE t3\n  DROP COLUMN nothing;"
    with pytest.raises(DatabaseError) as failed:
        work.apply(files(*good[:2], bad, *good[3:]))
    assert failed.value.fact == '003_step.sql: column "nothing" of relation "t3" does not exist'
    assert "the database is at 002_step; nothing of 003_step is kept" in failed.value.details
    assert work.names == ["001_step", "002_step"]
    assert work.tables() == {"t1", "t2"}
    work.apply(files(*good))
    assert work.tables() == {"t1", "t2", "t3", "t4", "t5"}


def test_a_mistake_is_told_with_its_line(work: Work) -> None:
    with pytest.raises(DatabaseError) as failed:
        work.apply(files("-- expand\n-- why\n\nSELECT 1 FROM nowhere;"))
    assert failed.value.fact == '001_step.sql:4: relation "nowhere" does not exist'


def test_a_file_that_ends_its_transaction_is_not_taken_for_whole(work: Work) -> None:
    for text in ("CREATE TABLE a (i int); COMMIT;", "CREATE TABLE b (i int); COMMIT; BEGIN;", "ROLLBACK;"):
        with pytest.raises(DatabaseError, match="ends its transaction itself"):
            work.apply(files(f"-- expand\n{text}"))
        assert work.names == []


def test_a_file_outside_transactions_that_opens_one_is_not_taken_for_applied(work: Work) -> None:
    with pytest.raises(DatabaseError, match="leaves a transaction open"):
        work.apply(files("-- expand\n-- no-transaction\nBEGIN; CREATE TABLE a (i int);"))
    assert (work.names, work.tables()) == ([], set())


def test_what_one_file_sets_does_not_reach_the_next(work: Work) -> None:
    work.apply(
        files(
            "-- expand\nSET search_path = pg_catalog; SET lock_timeout = 0; SET ROLE pg_monitor;",
            "-- expand\nRESET ROLE; SET SESSION AUTHORIZATION app;",
            "-- expand\nCREATE TABLE a AS SELECT current_setting('lock_timeout') AS waits, current_user AS who,"
            " session_user AS login;",
        )
    )
    assert work.server.ask(work.server.name, "SELECT waits, who, login FROM a") == [("300ms", "app", "turnout")]


def test_a_session_that_hears_nothing_more_from_us_is_ended(work: Work) -> None:
    names = ("client_connection_check_interval", "idle_in_transaction_session_timeout", "idle_session_timeout")
    wanted = ", ".join(f"current_setting('{name}') AS {name}" for name in names)
    work.apply(files(f"-- expand\nCREATE TABLE a AS SELECT {wanted};"))
    assert work.server.ask(work.server.name, "SELECT * FROM a") == [("2s", "1min", "60300ms")]


def test_reset_role_returns_to_the_role_that_may_more(work: Work) -> None:
    work.apply(files("-- expand\nRESET ROLE; CREATE EXTENSION file_fdw;"))
    assert work.names == ["001_step"]


def test_an_index_that_failed_half_built_is_built_anew(work: Work) -> None:
    work.server.fill(work.server.name)
    work.server.ask(work.server.name, "UPDATE items SET label = 'same' WHERE id < 3")
    index = files(
        "-- expand\n-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS labels ON items (label);"
    )
    with pytest.raises(DatabaseError, match=r"001_step\.sql: could not create unique index") as failed:
        work.apply(index)
    assert any("it can be run again" in line for line in failed.value.details)
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'labels'::regclass"
    assert work.server.ask(work.server.name, valid) == [(False,)]
    work.server.ask(work.server.name, "UPDATE items SET label = 'item ' || id")
    work.apply(index)
    assert work.server.ask(work.server.name, valid) == [(True,)]
    assert work.names == ["001_step"]


def test_an_index_that_was_built_but_not_noted_is_taken_as_it_is(work: Work) -> None:
    work.server.fill(work.server.name)
    work.server.ask(work.server.name, "CREATE INDEX labels ON items (label)")
    number = work.server.ask(work.server.name, "SELECT 'labels'::regclass::oid::int")
    work.apply(files("-- expand\n-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS labels ON items (label);"))
    assert work.server.ask(work.server.name, "SELECT 'labels'::regclass::oid::int") == number


def test_an_index_waits_for_long_transactions_beyond_the_lock_timeout(work: Work) -> None:
    work.server.fill(work.server.name)
    index = files("-- expand\n-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS labels ON items (label);")
    with work.server.connect(work.server.name) as connection:
        connection.execute("BEGIN; UPDATE items SET label = 'later' WHERE id = 1")
        building = threading.Thread(target=work.apply, args=(index,))
        building.start()
        time.sleep(3)
        assert building.is_alive()
        connection.execute("COMMIT")
        building.join(30)
    assert work.names == ["001_step"]


def test_a_big_table_is_filled_in_batches_each_with_a_transaction_of_its_own(work: Work) -> None:
    work.server.fill(work.server.name)
    work.server.ask(work.server.name, "ALTER TABLE items ADD COLUMN size int")
    work.apply(
        files(
            "-- expand\n-- batches 1ms\nUPDATE items SET size = length(label) WHERE id IN "
            "(SELECT id FROM items WHERE size IS NULL ORDER BY id LIMIT 300);"
        )
    )
    (found,) = work.server.ask(
        work.server.name, "SELECT count(*) FILTER (WHERE size IS NULL), count(DISTINCT xmin::text) FROM items"
    )
    assert found == (0, 4)
    assert "001_step: 1000 rows changed in batches" in work.told


def test_a_lock_is_asked_for_again_and_others_get_on_meanwhile(work: Work) -> None:
    work.server.fill(work.server.name)
    column = files("-- expand\nALTER TABLE items ADD COLUMN colour text;")
    with work.server.connect(work.server.name) as reader:
        reader.execute("BEGIN; SELECT count(*) FROM items")
        adding = threading.Thread(target=work.apply, args=(column,))
        adding.start()
        while not any("tried again" in line for line in work.told):
            assert adding.is_alive()
            time.sleep(0.02)
        assert work.server.ask(work.server.name, "SELECT count(*) FROM items") == [(1000,)]
        assert adding.is_alive()
        reader.execute("COMMIT")
        adding.join(30)
    assert work.names == ["001_step"]


def test_a_lock_that_is_never_free_ends_the_attempt_with_nothing_changed(work: Work) -> None:
    work.server.fill(work.server.name)
    with work.server.connect(work.server.name) as reader:
        reader.execute("BEGIN; SELECT count(*) FROM items")
        with pytest.raises(DatabaseError, match=r"001_step\.sql: canceling statement due to lock timeout") as failed:
            work.apply(files("-- expand\nALTER TABLE items ADD COLUMN colour text;"))
    assert "quieter" in failed.value.hint
    assert len([line for line in work.told if "tried again" in line]) == 4
    assert work.names == []


def test_a_statement_without_end_is_ended(server: Server) -> None:
    work = Work(server, timeout="500ms")
    with pytest.raises(DatabaseError, match="statement timeout"):
        work.apply(files("-- expand\nSELECT pg_sleep(60);"))
    assert work.names == []


def test_migrations_and_dumps_keep_each_other_out(work: Work) -> None:
    name, wanted = work.server.name, files("-- expand\nCREATE TABLE a (i int);")
    work.server.fill(name)
    with work.server.database.dump(name) as dump:
        with pytest.raises(DatabaseError, match="another migration or a backup is at work"):
            work.apply(wanted)
        assert b"".join(dump.chunks)
    with work.server.connect(name) as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended('turnout migrations', 0))")
        with (
            pytest.raises(DatabaseError, match="is being migrated"),
            work.server.database.dump(name),
        ):
            raise AssertionError("it was dumped all the same")
        with pytest.raises(DatabaseError, match="another migration or a backup is at work"):
            work.apply(wanted)
    with work.server.connect(name) as stranger:
        stranger.execute("SET application_name = 'pg_dump'")
        with pytest.raises(DatabaseError, match="a pg_dump is at work"):
            work.apply(wanted)
    work.apply(wanted)
    assert work.names == ["001_step"]


def test_two_at_once_apply_each_once(server: Server) -> None:
    wanted = files(*[f"-- expand\nCREATE TABLE t{number} (i int);\nSELECT pg_sleep(0.2);" for number in range(1, 6)])
    both = [Work(server), Work(server)]
    threads = [threading.Thread(target=one.apply, args=(wanted,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(both[0].names) == 5
    assert sorted(len(one.told) for one in both) == [0, 5]


def test_what_was_applied_is_taken_back_once(work: Work) -> None:
    work.apply(files("-- expand\nCREATE TABLE a (i int);", "-- expand\nCREATE TABLE b (i int);", d002="DROP TABLE b;"))
    row = work.ledger.applied()[-1]
    work.ledger.take_back(row, work.told.append)
    work.ledger.take_back(row, work.told.append)
    assert (work.names, work.tables()) == (["001_step"], {"a"})


def test_a_way_back_that_fails_keeps_the_row(work: Work) -> None:
    work.apply(files("-- expand\nCREATE TABLE a (i int);", d001="DROP TABLE a; DROP TABLE nowhere;"))
    with pytest.raises(DatabaseError, match=r"001_step_down\.sql: table \"nowhere\" does not exist") as failed:
        work.ledger.take_back(work.ledger.applied()[0], work.told.append)
    assert "turnout_migrations" in failed.value.hint
    assert (work.names, work.tables()) == (["001_step"], {"a"})


def test_a_file_that_is_not_what_was_applied_is_refused(work: Work) -> None:
    work.apply(files("-- expand\nCREATE TABLE a (i int);"))
    with pytest.raises(DatabaseError, match=r"001_step\.sql is not what was applied as 1 from 1\.0-abc"):
        work.apply(files("-- expand\nCREATE TABLE other (i int);"))


def test_the_versions_travel_with_a_dump(work: Work) -> None:
    work.apply(files("-- expand\nCREATE TABLE a (i int);"))
    server = work.server
    with server.database.dump(server.name) as dump:
        data = b"".join(dump.chunks)
    server.database.create_beside(server.new, server.name)
    server.database.load(server.new, [data])
    assert server.ask(server.new, "SELECT version FROM public.turnout_migrations") == [(1,)]
