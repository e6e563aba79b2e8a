"""Migrations come out of a release's archive as they went in, or not at all; and squawk judges them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.artifact.archive import Release, open_release
from fabfile.artifact.build import build
from fabfile.artifact.migrations import LARGEST, read_folder, read_release
from fabfile.artifact.squawk import lint
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.migration import Migration
from fabfile.planning.migration_files import read

UP = "-- expand\nALTER TABLE items ADD COLUMN colour text;\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path


def release(project: Path, files: Mapping[str, str]) -> Release:
    """A release with these files in `db/migrations`."""
    source = project / "app"
    (source / "db" / "migrations").mkdir(parents=True)
    (source / "package.json").write_text(json.dumps({"name": "shop", "version": "1.0.0"}))
    for name, text in files.items():
        (source / "db" / "migrations" / name).write_text(text)
    built = build(source, project / "dist", [], [], lambda line: None)
    return open_release(built.id, project / "dist")


def test_migrations_are_read_out_of_the_archive(project: Path) -> None:
    found = read_release(
        release(project, {"001_a.sql": UP, "001_a_down.sql": "SELECT 1;", "002_b.sql": UP + "\n", "notes.txt": "x"}),
        "db/migrations",
    )
    assert [migration.name for migration in found] == ["001_a", "002_b"]
    assert (found[0].sql, found[0].down) == (UP, "SELECT 1;")


def test_a_release_without_any_says_where_they_were_looked_for(project: Path) -> None:
    with pytest.raises(BadInput, match="holds no SQL file in migrations"):
        read_release(release(project, {"001_a.sql": UP}), "migrations")


def test_what_is_no_migration_by_its_size_is_refused(project: Path) -> None:
    with pytest.raises(BadInput, match="more than a migration may"):
        read_release(release(project, {"001_a.sql": UP + "-" * LARGEST}), "db/migrations")


def test_a_file_that_is_not_the_manifests_is_refused(project: Path) -> None:
    found = release(project, {"001_a.sql": UP})
    files = tuple(
        replace(file, sha256="0" * 64) if file.path.endswith(".sql") else file for file in found.manifest.files
    )
    with pytest.raises(BadInput, match="not the file that the manifest lists"):
        read_release(replace(found, manifest=replace(found.manifest, files=files)), "db/migrations")


def test_an_archive_that_is_gone_or_cut_is_an_error_with_its_path(project: Path) -> None:
    found = release(project, {"001_a.sql": UP})
    whole = found.path.read_bytes()
    for rest in (b"", whole[: len(whole) // 2]):
        found.path.write_bytes(rest)
        with pytest.raises(BadInput, match=str(found.path)):
            read_release(found, "db/migrations")


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert read_folder(tmp_path / "none") == {}
    (tmp_path / "001_a.sql").write_text(UP)
    (tmp_path / "README").write_text("")
    assert read_folder(tmp_path) == {"001_a.sql": UP.encode()}


def migrations(**texts: str) -> tuple[Migration, ...]:
    return read({f"{name.removeprefix('f')}.sql": text.encode() for name, text in texts.items()}, "migrations")


def test_squawk_finds_what_would_hold_users_up() -> None:
    found = lint(
        migrations(
            f001_a="-- expand\nCREATE INDEX i ON orders (name);\nALTER TABLE orders ALTER COLUMN name SET NOT NULL;\n",
            f002_b="-- expand\nALTER TABLE orders DROP COLUMN name;\n",
            f003_c="-- expand\n-- no-transaction\nCREATE INDEX CONCURRENTLY i ON orders (name);\n",
            f004_d="-- expand\nSELECT 1 FORM x y;\n",
            f005_e="-- expand\nBEGIN;\nSELECT 1;\nCOMMIT;\n",
        )
    )
    assert [(finding.file, finding.line, finding.rule) for finding in found] == [
        ("001_a.sql", 2, "require-concurrent-index-creation"),
        ("001_a.sql", 3, "adding-not-nullable-field"),
        ("002_b.sql", 2, "ban-drop-column"),
        ("003_c.sql", 3, "prefer-robust-stmts"),
        ("004_d.sql", 2, "syntax-error"),
        ("005_e.sql", 2, "transaction-nesting"),
        ("005_e.sql", 4, "transaction-nesting"),
    ]


def test_squawk_lets_the_recipes_pass() -> None:
    assert (
        lint(
            migrations(
                f001_a="-- expand\nCREATE TABLE new (id bigint PRIMARY KEY, name text);\nCREATE INDEX i ON new (name);",
                f002_b="-- expand\nALTER TABLE orders ADD CONSTRAINT c CHECK (name IS NOT NULL) NOT VALID;",
                f003_c="-- expand\nALTER TABLE orders VALIDATE CONSTRAINT c;\n"
                "ALTER TABLE orders ALTER COLUMN name SET NOT NULL;\nALTER TABLE orders DROP CONSTRAINT c;",
                f004_d="-- expand\n-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON orders (a);",
                f005_e="-- expand\nALTER TABLE orders ADD CONSTRAINT u UNIQUE USING INDEX u;",
                f006_f="-- expand\n-- batches 200ms\nUPDATE orders SET name = '' WHERE id IN "
                "(SELECT id FROM orders WHERE name IS NULL ORDER BY id LIMIT 5000);",
                f007_g="-- contract\nALTER TABLE orders DROP COLUMN old;",
                f008_h="-- expand\n-- squawk-ignore require-concurrent-index-creation\nCREATE INDEX j ON small (name);",
            )
        )
        == []
    )


def test_a_squawk_that_is_not_there_or_does_not_answer_is_no_acquittal(tmp_path: Path) -> None:
    wanted = migrations(f001_a=UP)
    with pytest.raises(TurnoutError, match=r"squawk cannot judge 001_a\.sql"):
        lint(wanted, str(tmp_path / "squawk"))
    for body in ("exit 1", "echo '{}'", "echo '[]'; kill -9 $$"):
        program = tmp_path / "broken"
        program.write_text(f"#!/bin/sh\ncat > /dev/null\n{body}\n")
        program.chmod(0o755)
        with pytest.raises(TurnoutError, match=r"squawk cannot judge 001_a\.sql"):
            lint(wanted, str(program))
    assert lint([], str(tmp_path / "squawk")) == []
