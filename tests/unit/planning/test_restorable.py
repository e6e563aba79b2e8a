"""What a server lacks for a dump, and nothing that it has."""

from __future__ import annotations

from dataclasses import replace

from fabfile.model.database_server import Role, ServerFacts
from fabfile.model.recovery_point import DatabaseFacts
from fabfile.planning.restorable import create_role, what_is_missing

FACTS = DatabaseFacts(
    server_version="15.18",
    size_bytes=1,
    owner="app",
    encoding="UTF8",
    extensions={"plpgsql": "1.0", "postgis": "3.3.2"},
    tables={},
    roles=(Role("app", ("LOGIN",), ("staff",)), Role("staff")),
)
SERVER = ServerFacts("15.4", frozenset({"app", "postgres", "staff"}), frozenset({"plpgsql", "postgis", "hstore"}))


def test_a_server_that_has_everything_lacks_nothing() -> None:
    assert what_is_missing(FACTS, SERVER) == []
    assert what_is_missing(FACTS, replace(SERVER, version="17.0")) == []


def test_an_older_major_is_named_and_an_older_minor_is_fine() -> None:
    (line,) = what_is_missing(FACTS, replace(SERVER, version="9.6"))
    assert line.startswith("PostgreSQL 9 is older than 15")
    assert what_is_missing(FACTS, replace(SERVER, version="15.0")) == []


def test_a_missing_extension_is_named_with_the_version_that_the_backup_has() -> None:
    (line,) = what_is_missing(FACTS, replace(SERVER, extensions=frozenset({"plpgsql"})))
    assert line.startswith("extension postgis (the backup has 3.3.2) is not there")


def test_every_missing_role_comes_with_the_sql_that_makes_it() -> None:
    assert what_is_missing(FACTS, replace(SERVER, roles=frozenset())) == [
        'role app is missing: CREATE ROLE "app" LOGIN; GRANT "staff" TO "app"',
        'role staff is missing: CREATE ROLE "staff"',
    ]


def test_an_owner_of_whom_an_older_manifest_knows_no_more_than_the_name_is_missed_too() -> None:
    older = replace(FACTS, roles=())
    assert what_is_missing(older, replace(SERVER, roles=frozenset())) == ['role app is missing: CREATE ROLE "app"']


def test_a_role_with_an_odd_name_is_quoted() -> None:
    assert create_role(Role('o"Neil; DROP', ("NOINHERIT",))) == 'CREATE ROLE "o""Neil; DROP" NOINHERIT'
