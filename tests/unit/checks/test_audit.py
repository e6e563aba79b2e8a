"""Whether it can be found out afterwards who came into the database, and what became of it."""

from __future__ import annotations

from fabfile.checks.audit import judge
from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.database_server import Doorway
from tests.unit.checks.seen import DATABASE, environment, evidence, of

DOOR = Doorway("15.18", encrypted=True, offered=True, listens="*")
SILENT = Doorway("15.18", True, True, "*", unlogged=("log_connections", "log_statement"))
NAMED = {"server_name": "shop.example"}


def asked(door: Doorway | Unseen, **database: str) -> Evidence:
    return evidence(environment=environment(database={**DATABASE, **database}, site=NAMED), database=door)


def test_a_log_that_tells_nothing_is_turned_on_by_one_command() -> None:
    found = of(judge, asked(SILENT))
    assert found.verdict == "warning"
    assert found.remedy
    assert (found.remedy.on, found.remedy.user) == ("h1", "root")
    assert found.remedy.command == (
        "sudo -u postgres psql -p 5432 -c 'ALTER SYSTEM SET log_connections = on' "
        "-c 'ALTER SYSTEM SET log_statement = ddl' -c 'SELECT pg_reload_conf()'"
    )


def test_only_what_lacks_is_changed() -> None:
    found = of(judge, asked(Doorway("15.18", True, True, "*", unlogged=("log_connections",))))
    assert found.remedy
    assert "log_statement" not in found.seen + found.remedy.command


def test_a_server_elsewhere_is_mended_by_whoever_has_it() -> None:
    found = of(judge, asked(SILENT, host="10.0.0.9"))
    assert found.remedy
    assert found.remedy.command == ""
    assert found.remedy.note.startswith("on 10.0.0.9: sudo -u postgres psql")


def test_a_log_that_tells_is_well_and_one_that_nobody_saw_is_not() -> None:
    assert of(judge, asked(DOOR)).verdict == "ok"
    assert of(judge, asked(Unseen("no answer", "failed"))).verdict == "could not look"


def test_where_nobodys_data_are_nothing_has_to_be_found_out() -> None:
    assert of(judge, evidence(environment=environment(database=DATABASE), database=SILENT)).verdict == "not applicable"
    assert of(judge, evidence(), "").verdict == "not applicable"
