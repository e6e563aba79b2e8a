"""`inv migrate.new` and `inv migrate.lint` as commands, on a working copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.test_environments import Checkout

pytestmark = pytest.mark.slow

ENVIRONMENT = """
app: shop
hosts: {h1: {}}
build: {source: app}
database: {via: h1, name: shop, user: turnout, password: env:PASSWORD}
migrations: {folder: db/migrations}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout.of(tmp_path, live=ENVIRONMENT)


def lint(checkout: Checkout, expect: int = 0) -> str:
    done = checkout.inv("migrate.lint", "--env=live", expect=expect)
    return done.stdout + done.stderr


def test_a_new_pair_is_made_and_judged(checkout: Checkout) -> None:
    folder = checkout.folder / "app" / "db" / "migrations"
    folder.mkdir(parents=True)
    (folder / "001_base.sql").write_text("-- expand\nCREATE TABLE shelf (id bigint PRIMARY KEY);\n")
    up, down = checkout.document("migrate.new", "add a size", "--env=live")["files"]
    assert [up, down] == [str(folder / "002_add_a_size.sql"), str(folder / "002_add_a_size_down.sql")]
    assert "002_add_a_size.sql: holds no statement" in lint(checkout, expect=3)
    with Path(up).open("a") as file:
        file.write("ALTER TABLE shelf ADD COLUMN size bigint;\n")
    assert f"2 migrations in {folder} are safe" in lint(checkout)
    with Path(up).open("a") as file:
        file.write("ALTER TABLE shelf RENAME TO rack;\n")
    assert "renaming-table" in lint(checkout, expect=5)


def test_a_description_is_not_taken_for_a_header(checkout: Checkout) -> None:
    (up, _) = checkout.document("migrate.new", "batches", "--contract", "--env=live")["files"]
    with Path(up).open("a") as file:
        file.write("ALTER TABLE shelf DROP COLUMN size;\n")
    assert "1 migrations in" in lint(checkout)
