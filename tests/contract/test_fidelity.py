"""A database with what real ones have is the same after a backup and a restore: pg_dump tells no difference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.config.schema import Environment
from fabfile.lab.lab import Lab
from fabfile.model.paths import Paths
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.restore import load_database
from fabfile.recovery.scope import Scope
from fabfile.storage.directory import DirectoryStore
from tests.contract.database_server import Server, fresh

pytestmark = pytest.mark.lab
SCHEMA = Path(__file__).with_name("fidelity.sql").read_text()
ROLES = ("Fidelity Owner", "fidelity_reader", 'fidelity "quoted" ümläut')


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    """A server whose database holds fidelity.sql; its roles are gone afterwards."""
    try:
        with fresh(lab) as found:
            lab.execute("db", "psql", "-qXo", "/dev/null", "-d", found.name, "-f", "-", user="postgres", text=SCHEMA)
            yield found
    finally:
        for role in ROLES:
            lab.execute("db", "psql", "-qXd", "postgres", "-f", "-", user="postgres", text=_drop(role))


def _drop(role: str) -> str:
    return 'DROP ROLE IF EXISTS "{}";'.format(role.replace('"', '""'))


def everything(server: Server) -> list[str]:
    """The database as SQL, its properties too; two of its lines are drawn by lot each time."""
    text = server.lab.execute("db", "pg_dump", "--create", "-d", server.name, user="postgres")
    return [line for line in text.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]


def test_a_restored_database_is_the_same_to_the_letter(server: Server, tmp_path: Path) -> None:
    environment = Environment.model_validate({"app": "shop", "hosts": {"h1": {}}})
    catalogue = Catalogue(DirectoryStore(tmp_path), "turnout", "shop", "test")
    database = server.database
    scope = Scope(environment, Paths("shop"), {}, catalogue, database)
    before = everything(server)
    assert len(before) > 3000
    assert sum(line.startswith("CREATE TABLE ") for line in before) > 130

    point = capture(scope, "database", "manual", "20250131T030000-0a1b")
    database.create_beside(server.new, server.name)
    load_database(scope, point, server.new)
    assert database.describe(server.new).tables == database.describe(server.name).tables
    database.carry_over(server.name, server.new)
    database.swap(server.name, server.new, server.kept)

    assert everything(server) == before
    (facts,) = catalogue.points()
    assert facts.database and facts.database.tables['"Odd ""schema"" ü"."Table; DROP ""x"" -- ü"'] == 1
