"""Verification on a real PostgreSQL: a dump that does not restore, names that are held, questions that only read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.config.schema import Environment
from fabfile.config.smoke import SmokeSettings
from fabfile.lab.lab import Lab
from fabfile.model.paths import Paths
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.recovery.verify import examine, restore_into, scratch_database
from fabfile.storage.directory import DirectoryStore
from tests.contract.database_server import Server, fresh

pytestmark = pytest.mark.lab
RUN, OTHER = "20250131T030000-0a1b", "20250131T020000-ffff"


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with fresh(lab) as found:
        found.fill(found.name, rows=200)
        yield found


@pytest.fixture
def scope(server: Server, tmp_path: Path) -> Scope:
    environment = Environment.model_validate({"app": "shop", "hosts": {"h1": {}}})
    catalogue = Catalogue(DirectoryStore(tmp_path), "turnout", "shop", "test")
    return Scope(environment, Paths("shop"), {}, catalogue, server.database)


def databases(server: Server) -> tuple[str, ...]:
    return server.database.names_like(server.name)


def test_a_sound_dump_is_restored_compared_and_dropped(server: Server, scope: Scope) -> None:
    server.ask("postgres", "ALTER DATABASE {name} SET search_path TO 'Odd.one'", name=server.name)
    point = capture(scope, "database", "manual", RUN)
    assert point.database
    smoke = SmokeSettings.model_validate({"sql": {"empty": {"query": 'SELECT count(*) = 0 FROM "a b"'}}})
    problems: list[str] = []
    with scratch_database(server.database, RUN, point.database.size_bytes) as name:
        assert restore_into(scope, point, name, problems)
        assert examine(point, server.database, smoke, name) == problems == []
        server.ask(name, "DELETE FROM public.items WHERE id <= 3")
        assert examine(point, server.database, smoke, name) == [
            "public.items: 1000 rows in the backup, 997 rows restored"
        ]
    assert databases(server) == (server.name,)


def test_a_dump_that_does_not_restore_is_found_out(server: Server, scope: Scope) -> None:
    """What pg_dump saves without a word, and pg_restore cannot make: a function that misses its search_path."""
    server.ask(
        server.name, "CREATE FUNCTION n(int) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT $1 + count(*) FROM items'"
    )
    server.ask(server.name, "CREATE INDEX ON large (n(id))")
    point = capture(scope, "database", "manual", RUN)
    problems: list[str] = []
    with scratch_database(server.database, RUN, 0) as name:
        assert not restore_into(scope, point, name, problems)
    assert any('relation "items" does not exist' in problem for problem in problems)
    assert databases(server) == (server.name,)


def test_a_name_is_held_by_one_and_let_go_by_the_dead(server: Server) -> None:
    database = server.database
    with database.held(server.new) as ours:
        with database.held(server.new) as second, database.held(server.kept) as other:
            assert (ours, second, other) == (True, False, True)
        server.ask("postgres", "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with database.held(server.new) as third:
            assert third


def test_copies_of_the_dead_are_dropped_and_those_of_the_living_are_not(server: Server) -> None:
    database = server.database
    dead = f"{server.name}_verify_20250131t010000_0000"
    database.create_beside(dead, server.name)
    with scratch_database(database, OTHER, 0) as living:
        with scratch_database(database, RUN, 0) as name:
            assert databases(server) == (server.name, living, name)
        assert databases(server) == (server.name, living)
    assert databases(server) == (server.name,)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT count(*) > 0 FROM items", ""),
        ("VALUES (false), (true)", ""),
        ("SELECT label LIKE 'item 1%', id FROM items", ""),
        ("SELECT count(*) < 0 FROM items", "no row of 1 is true in its first column"),
        ("SELECT true WHERE false", "no row of 0 is true in its first column"),
        ("SELECT 1", "its first column is not of type boolean"),
        ("SELECT true FROM nowhere", 'relation "nowhere" does not exist'),
        ("DELETE FROM items RETURNING true", "cannot execute DELETE in a read-only transaction"),
        ("COMMIT; DELETE FROM items", "cannot insert multiple commands into a prepared statement"),
        ("SELECT pg_sleep(5) IS NOT NULL", "canceling statement due to statement timeout"),
    ],
)
def test_a_question_is_answered_by_a_row_that_is_true_and_changes_nothing(server: Server, query: str, why: str) -> None:
    assert server.database.objection(server.name, query, 0.5) == why
    assert server.database.describe(server.name).tables["public.items"] == 1000


@pytest.mark.parametrize(
    ("query", "rows", "why"),
    [
        ("SELECT id, label FROM items ORDER BY id LIMIT 1", [[1, "item 1"]], ""),
        ("SELECT 1::numeric(5,2), 0.5::float8, null, true, 2::bigint", [[1, 0.5, None, True, 2]], ""),
        ("SELECT DATE '2025-01-31', '[1, 2]'::jsonb #>> '{0}'", [["2025-01-31", "1"]], ""),
        ("SELECT 1 WHERE false", [], ""),
        ("SELECT 1 UNION ALL SELECT 2", [[1]], "2 rows, not 1"),
        ("SELECT 1, 'x'", [[1, "y"]], "row 1 is (1, x), not (1, y)"),
        ("SELECT true", [[1]], "row 1 is (True), not (1)"),
        ("SELECT 1 FROM nowhere", [[1]], 'relation "nowhere" does not exist'),
        ("DELETE FROM items RETURNING 1", [[1]], "cannot execute DELETE in a read-only transaction"),
    ],
)
def test_a_question_is_answered_by_the_rows_that_are_expected(
    server: Server, query: str, rows: list[list[object]], why: str
) -> None:
    assert server.database.objection(server.name, query, 5, rows) == why


def test_the_server_tells_how_much_room_it_has(server: Server) -> None:
    free = server.database.free_bytes()
    assert free and 1_000_000 < free < 1 << 50
