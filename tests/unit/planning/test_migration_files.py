"""SQL files become migrations: by name, number and header, and with everything wrong with them at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import BadInput
from fabfile.model.release import Manifest, ReleaseFile, ReleaseLink, release_id
from fabfile.planning.migration_files import is_patient, is_transactional, known, next_names, read, sql_paths

NOW = datetime(2026, 11, 21, 20, 30, tzinfo=UTC)
UP = b"-- expand\nALTER TABLE items ADD COLUMN colour text;\n"


def one(text: str, name: str = "001_a.sql", **more: str) -> object:
    return read({name: text.encode(), **{key: value.encode() for key, value in more.items()}}, "migrations")[0]


def problems(files: Mapping[str, bytes]) -> tuple[str, ...]:
    with pytest.raises(BadInput) as refused:
        read(files, "1.0-abc, migrations")
    assert refused.value.fact.startswith("1.0-abc, migrations: ")
    return refused.value.details


def manifest(files: Mapping[str, bytes], links: tuple[ReleaseLink, ...] = ()) -> Manifest:
    listed = tuple(
        ReleaseFile(path, 0o644, len(content), hashlib.sha256(content).hexdigest()) for path, content in files.items()
    )
    identity = release_id("1.0.0", listed, links)
    size = sum(map(len, files.values()))
    return Manifest(1, identity, "shop", "1.0.0", "0" * 64, 0, size, None, False, "ann", "then", listed, links)


def test_a_pair_of_files_is_one_migration_with_its_way_back() -> None:
    files = {
        "001_add_colour.sql": UP,
        "001_add_colour_down.sql": b"ALTER TABLE items DROP COLUMN colour;",
        "README": b"",
    }
    (migration,) = read(files, "migrations")
    assert (migration.version, migration.name, migration.phase) == (1, "001_add_colour", "expand")
    assert migration.checksum == hashlib.sha256(UP).hexdigest()
    assert migration.sql == UP.decode()
    assert migration.down == "ALTER TABLE items DROP COLUMN colour;"
    assert (migration.transactional, migration.pause) == (True, None)


@given(
    st.sets(st.integers(1, 999), min_size=1, max_size=1).flatmap(
        lambda first: st.integers(1, 40).map(lambda count: [min(first) + place for place in range(count)])
    ),
    st.randoms(),
)
def test_numbers_give_the_order_whatever_the_order_of_the_files(numbers: list[int], random: object) -> None:
    names = [f"{number:03d}_step.sql" for number in numbers]
    random.shuffle(names)  # type: ignore[attr-defined]
    assert [migration.version for migration in read(dict.fromkeys(names, UP), "migrations")] == numbers


@given(st.sets(st.integers(1, 60), min_size=2, max_size=20))
def test_a_gap_between_counted_numbers_is_named_and_dates_have_none(numbers: set[int]) -> None:
    files = {f"{number:03d}_step.sql": UP for number in numbers}
    dated = {f"2026{number:010d}_step.sql": UP for number in numbers}
    assert len(read(dated, "migrations")) == len(numbers)
    inner = {number for number in numbers if number - 1 not in numbers and number != min(numbers)}
    if inner:
        assert {problem.split("_")[0] for problem in problems(files)} == {f"{number:03d}" for number in inner}
    else:
        assert len(read(files, "migrations")) == len(numbers)


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(
        {
            "001_a.sql": UP,
            "001_b.sql": UP,
            "2_short.sql": UP,
            "003_silent.sql": b"SELECT 1;",
            "004_both.sql": b"-- expand\n-- contract\nSELECT 1;",
            "005_empty.sql": b"-- expand\n-- nothing yet\n/* SELECT 1; */ ;",
            "006_latin.sql": b"-- expand\nSELECT '\xe9';",
            "007_nul.sql": b"-- expand\nSELECT '\0';",
            "008_index.sql": b"-- expand\nCREATE INDEX CONCURRENTLY i ON t (a);",
            "009_batch.sql": b"-- expand\n-- batches\n-- no-transaction\nUPDATE t SET a = 1;",
            "010_pause.sql": b"-- expand\n-- batches soon\nUPDATE t SET a = 1;",
            "011_lost_down.sql": b"SELECT 1;",
            "008_index_down.sql": b"DROP INDEX CONCURRENTLY i;",
            "012_two.sql": b"-- expand\n-- batches\nSET work_mem = 1; UPDATE t SET a = 1;",
            "013_call.sql": b"-- expand\n-- batches\nSELECT fill();",
            "000_zero.sql": UP,
        }
    )
    told = {line.split(":")[0]: line for line in found}
    assert "same number" in told["001_b.sql"]
    assert "such as 003_add_colour.sql" in told["2_short.sql"]
    assert all("-- expand or -- contract" in told[name] for name in ("003_silent.sql", "004_both.sql"))
    assert "no statement" in told["005_empty.sql"]
    assert "UTF-8" in told["006_latin.sql"]
    assert "NUL" in told["007_nul.sql"]
    assert "add the line -- no-transaction" in told["008_index.sql"]
    assert "leave -- no-transaction out" in told["009_batch.sql"]
    assert "duration" in told["010_pause.sql"]
    assert "add the line -- no-transaction" in told["008_index_down.sql"]
    assert all("one INSERT, UPDATE or DELETE" in told[name] for name in ("012_two.sql", "013_call.sql"))
    assert "there is no 011_lost.sql" in told["011_lost_down.sql"]
    assert "begin with 001" in told["000_zero.sql"]


def test_headers_count_in_the_comment_at_the_beginning_alone() -> None:
    text = "-- why: colours\n\n--  contract \n-- batches 2s\nUPDATE t SET a = 1;\n-- expand\n-- no-transaction\n"
    migration = read({"001_a.sql": text.encode()}, "migrations")[0]
    assert (migration.phase, migration.pause, migration.transactional) == ("contract", 2.0, True)
    (plain,) = read({"001_a.sql": b"-- expand\n-- batches\nUPDATE t SET a = 1;"}, "migrations")
    assert plain.pause == 0.1
    text = "-- expand\n-- batches\n/* ; */ WITH some AS (SELECT ';', $f$;$f$) UPDATE t SET \"a;\" = 'it''s;'; -- ;\n"
    assert read({"001_a.sql": text.encode()}, "migrations")[0].pause == 0.1
    assert not is_transactional("-- no-transaction\nSELECT 1;")
    assert is_transactional("SELECT 1;\n-- no-transaction")


def test_a_file_that_holds_nobody_up_while_it_waits_is_known_by_its_statement() -> None:
    assert is_patient("-- no-transaction\ncreate unique index\n concurrently i on t (a);")
    assert is_patient("REFRESH MATERIALIZED VIEW CONCURRENTLY v")
    assert not is_patient("-- CREATE INDEX CONCURRENTLY\nCREATE INDEX i ON t (a);")
    assert not is_patient("CREATE INDEX i ON t (a); SELECT concurrently FROM t;")


def test_a_down_file_of_comments_takes_nothing_back() -> None:
    assert read({"001_a.sql": UP, "001_a_down.sql": b"-- to be written\n"}, "migrations")[0].down is None


def test_what_a_release_holds_is_in_its_manifest() -> None:
    files = {
        "db/migrations/001_a.sql": UP,
        "db/migrations/001_a_down.sql": b"SELECT 1;",
        "db/migrations/README.md": b"",
        "db/other/002_b.sql": UP,
    }
    digest = hashlib.sha256(UP).hexdigest()
    for folder in ("db/migrations", "./db//migrations/"):
        assert known(manifest(files), folder) == {(1, digest)}
        assert set(sql_paths(manifest(files), folder).values()) == {"001_a.sql", "001_a_down.sql"}


def test_sql_that_nobody_would_look_for_is_refused() -> None:
    files = {"migrations/001_a.sql": UP, "migrations/old/002_b.sql": UP}
    links = (ReleaseLink("migrations/003_c.sql", "001_a.sql"),)
    with pytest.raises(BadInput) as refused:
        sql_paths(manifest(files, links), "migrations")
    assert refused.value.details == (
        "migrations/old/002_b.sql: lies in a folder of its own",
        "migrations/003_c.sql: is a symlink",
    )


@given(
    st.integers(0, 30), st.text("abc 123-_", min_size=1, max_size=30).filter(lambda text: any(map(str.isalnum, text)))
)
def test_a_new_pair_comes_behind_all_others_and_is_read_back(count: int, description: str) -> None:
    files = {f"{number:04d}_step.sql": UP for number in range(1, count + 1)}
    up, down = next_names(files, description, NOW)
    found = read({**files, up: UP, down: b"SELECT 1;"}, "migrations")
    assert found[-1].version == count + 1
    assert found[-1].down == "SELECT 1;"


def test_a_new_pair_keeps_to_dates_where_there_are_dates() -> None:
    assert next_names({"20251231235959_a.sql": UP}, "Add colour!", NOW) == (
        "20261121203000_add_colour.sql",
        "20261121203000_add_colour_down.sql",
    )
    with pytest.raises(BadInput, match="not past yet"):
        next_names({"20991231235959_a.sql": UP}, "a", NOW)
    for nonsense in ("", "…", "step down", "a" * 81):
        with pytest.raises(BadInput, match="makes no name"):
            next_names({}, nonsense, NOW)
