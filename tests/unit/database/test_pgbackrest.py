"""The server as pgBackRest saves it, on a host that answers by rote: what is asked for, and what is told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from fabfile.config.schema import Environment
from fabfile.config.sources import Sources
from fabfile.database.pgbackrest import PgBackRest
from fabfile.errors import DatabaseError, Refused, RemoteError
from fabfile.model.script import Result, Script
from fabfile.remote.local import LocalHost
from tests.unit.commands.test_pgbackrest import ENTRY

FOUND = {
    "version": 15,
    "data_directory": "/data/main",
    "config_file": "/etc/postgresql/15/main/postgresql.conf",
    "port": 5432,
    "timeline": 2,
    "history": None,
    "databases": ["app"],
    "size": 30,
    "tablespaces": 0,
    "archive_timeout": 900,
    "now": "2026-11-21T17:00:00+00:00",
    "archive_mode": "on",
    "archive_command": "pgbackrest archive-push %p",
    "waiting": 0,
    "seconds_behind": 0,
    "failing": False,
    "last_failed": "",
}


@dataclass
class Rote(LocalHost):
    """A host that answers looks at its server and its repository, and remembers which backups were asked for."""

    found: dict[str, object] = field(default_factory=lambda: dict(FOUND))
    entries: list[dict[str, object]] = field(default_factory=list)
    taken: dict[str, object] | None = None
    error: RemoteError | None = None
    asked: list[str] = field(default_factory=list)
    name: str = "db"

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        if self.error:
            raise self.error
        if "--output=json info" in script.text:
            return Result(json.dumps([{"name": "shop", "backup": self.entries}]), "", 0.0)
        if "--annotation=" in script.text:
            self.asked.append(next(line for line in script.text.splitlines() if line.startswith("kind=")))
            self.entries += [self.taken] if self.taken else []
            return Result("", "", 0.0)
        return Result(json.dumps(self.found), "", 0.0)


def engine(host: Rote) -> PgBackRest:
    database = {"via": "db", "name": "app", "user": "turnout", "password": "env:DB", "engine": "pgbackrest"}
    environment = Environment.model_validate(
        {
            "app": "shop",
            "hosts": {"h1": {}, "db": {"roles": ["db"]}},
            "database": {**database, "repository": {"passphrase": "env:PASSPHRASE"}},
            "backup": {"bucket": "backups", "prefix": "kept"},
        }
    )
    return PgBackRest(environment, "demo", lambda: Sources({}, None, None), host)


def test_a_backup_is_known_by_its_label_and_by_the_object_without_which_it_is_none() -> None:
    host = Rote(taken=ENTRY)
    backup = engine(host).backup(7)
    assert (backup.label, backup.size_bytes, backup.stop_lsn) == ("20261121-164217F", 3, "0/4000100")
    assert backup.manifest == "kept/_pgbackrest/shop/demo/backup/shop/20261121-164217F/backup.manifest"
    assert host.asked == ["kind=full"]


def test_after_a_young_full_backup_only_the_difference_is_taken() -> None:
    host = Rote(entries=[ENTRY], taken={**ENTRY, "label": "x_y", "annotation": {"turnout": "8"}, "type": "diff"})
    engine(host).backup(8)
    assert host.asked == ["kind=diff"]


@pytest.mark.parametrize(
    ("taken", "said"), [(None, "is not in its repository"), ({**ENTRY, "error": True}, "pages with wrong checksums")]
)
def test_a_backup_that_is_absent_or_damaged_is_none(taken: dict[str, object] | None, said: str) -> None:
    with pytest.raises(DatabaseError, match=said):
        engine(Rote(taken=taken)).backup(7)


def test_before_the_set_up_a_backup_is_refused_with_what_to_type() -> None:
    host = Rote(found={**FOUND, "archive_mode": "off", "archive_command": "(disabled)"})
    with pytest.raises(Refused, match="db: WAL is not archived: archive_mode is off") as refused:
        engine(host).backup(7)
    assert "inv backup.pitr-setup" in refused.value.hint
    assert host.asked == []


def test_what_is_wrong_with_archiving_is_told_also_where_nobody_can_look() -> None:
    assert engine(Rote()).trouble() is None
    failing = Rote(found={**FOUND, "failing": True, "waiting": 3, "last_failed": "2026-11-21T16:00:00Z"})
    assert "archiving WAL fails since 2026-11-21T16:00:00Z" in (engine(failing).trouble() or "")
    away = Rote(error=RemoteError("db", "no route to it"))
    assert engine(away).trouble() == "whether WAL is archived cannot be told: db: no route to it"


def test_an_answer_that_is_none_is_told_and_not_believed() -> None:
    with pytest.raises(RemoteError, match="could not be understood"):
        engine(Rote(found={"version": 15})).look()
