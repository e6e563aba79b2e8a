"""pg_dump beside its server."""

from __future__ import annotations

import pytest

from fabfile.checks.evidence import Unseen
from fabfile.checks.pg_dump import judge
from fabfile.model.database_server import Doorway
from tests.unit.checks.seen import DATABASE, environment, evidence, of, well

SERVED = environment(database=DATABASE)


@pytest.mark.parametrize(
    ("version", "server", "verdict"),
    [
        ("15.18", "15.3", "ok"),
        ("17.6", "15.3", "ok"),
        ("15.18", "16.0", "critical"),
        ("9.6.24", "13.1", "critical"),
        ("16beta2", "16.0", "ok"),
        ("", "15.3", "critical"),
    ],
)
def test_it_must_not_be_older(version: str, server: str, verdict: str) -> None:
    door = Doorway(server, encrypted=True, offered=True, listens="*")
    given = evidence(environment=SERVED, database=door, hosts={"h1": well("h1", pg_dump_version=version)})
    found = of(judge, given)
    assert found.verdict == verdict
    if verdict == "critical":
        assert found.remedy
        assert found.remedy.command == f"apt-get install postgresql-client-{server.partition('.')[0]}"


def test_without_a_server_or_its_host_nothing_is_compared() -> None:
    assert of(judge, evidence(environment=SERVED, database=Unseen("no"))).verdict == "could not look"
    assert of(judge, evidence(), "").verdict == "not applicable"
