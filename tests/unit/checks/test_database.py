"""How one comes to the database: reached, and encrypted wherever a network is between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fabfile.checks.database import is_local, judge
from fabfile.checks.evidence import Unseen
from fabfile.model.database_server import Doorway
from tests.unit.checks.seen import DATABASE, environment, evidence, of

BESIDE = environment(database=DATABASE)
APART = environment(database={**DATABASE, "host": "10.0.0.9"})
DOOR = Doorway("15.18", encrypted=True, offered=True, listens="*")


@pytest.mark.parametrize(
    ("apart", "door", "verdict"),
    [
        (False, DOOR, "ok"),
        (False, replace(DOOR, encrypted=False), "ok"),
        (False, replace(DOOR, encrypted=False, offered=False), "critical"),
        (False, replace(DOOR, encrypted=False, offered=False, listens="localhost"), "ok"),
        (False, replace(DOOR, encrypted=False, offered=False, listens=""), "ok"),
        (False, replace(DOOR, plain=("10.0.0.1",)), "warning"),
        (True, DOOR, "ok"),
        (True, replace(DOOR, encrypted=False), "critical"),
    ],
)
def test_a_network_wants_encryption(apart: bool, door: Doorway, verdict: str) -> None:
    given = evidence(environment=APART if apart else BESIDE, database=door)
    assert of(judge, given).verdict == verdict


def test_tls_is_switched_on_by_one_command_where_the_server_is_ours_to_reach() -> None:
    closed = replace(DOOR, encrypted=False, offered=False)
    found = of(judge, evidence(environment=BESIDE, database=closed))
    assert found.remedy
    assert (found.remedy.on, found.remedy.user) == ("h1", "root")
    assert found.remedy.command == (
        "sudo -u postgres psql -p 5432 -c 'ALTER SYSTEM SET ssl = on' -c 'SELECT pg_reload_conf()'"
    )
    elsewhere = of(judge, evidence(environment=APART, database=closed))
    assert elsewhere.remedy
    assert elsewhere.remedy.command == ""
    assert elsewhere.remedy.note.startswith("on 10.0.0.9: ")


def test_sessions_without_tls_are_named_by_where_they_come_from() -> None:
    found = of(judge, evidence(environment=BESIDE, database=replace(DOOR, plain=("10.0.0.1", "10.0.0.2"))))
    assert found.seen == "sessions in shop come without TLS from 10.0.0.1, 10.0.0.2"


@pytest.mark.parametrize(("kind", "verdict"), [("failed", "critical"), ("elsewhere", "could not look")])
def test_a_server_that_refuses_is_critical_and_one_behind_a_closed_host_is_unseen(kind: str, verdict: str) -> None:
    why = Unseen("no answer", kind)  # type: ignore[arg-type]
    assert of(judge, evidence(environment=BESIDE, database=why)).verdict == verdict


def test_no_database_is_none() -> None:
    assert of(judge, evidence(), "").verdict == "not applicable"


@pytest.mark.parametrize(
    ("listens", "expected"),
    [("localhost", True), ("", True), ("127.0.0.1, ::1", True), ("*", False), ("localhost,10.0.0.1", False)],
)
def test_loopback_is_no_network(listens: str, expected: bool) -> None:
    assert is_local(listens) is expected
