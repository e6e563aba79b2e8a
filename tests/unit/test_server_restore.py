"""Restores of a whole server as tables of steps: what comes before users are sent away, and what an undo leaves out."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

from fabfile import restore
from fabfile.config.schema import Environment
from fabfile.errors import BadInput
from fabfile.model.restore import Restore
from fabfile.planning.deploy_plan import plan_stay
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.remote.ssh import SshHost
from fabfile.session import Session
from fabfile.ui.reporter import Reporter
from tests.unit.planning.test_deploy_plan import serving

RUN, EARLIER = "20250131T030000-0a1b", "20250130T030000-0a1b"
AT = "2025-01-30T12:00:00+00:00"


def unreachable(host: str) -> SshHost:
    raise AssertionError(f"nobody asks {host} for a table")


def session(monkeypatch: pytest.MonkeyPatch, engine: str = "pgbackrest") -> Session:
    for name in ("DB", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "secret")
    repository = {"passphrase": "env:PASSPHRASE"}
    database = {"via": "h1", "name": "app", "user": "turnout", "password": "env:DB", "engine": engine}
    environment = Environment.model_validate(
        {
            "app": "example",
            "hosts": {"h1": {}},
            "release": {"shared": ["uploads"]},
            "database": {**database, "repository": repository},
            "backup": {"bucket": "backups"},
        }
    )
    fleet = Fleet({"h1": LocalHost("h1")})
    return Session("demo", environment, fleet, Reporter(err=StringIO()), RUN, "ann", unreachable, Path("known_hosts"))


def table(monkeypatch: pytest.MonkeyPatch, wanted: Restore) -> list[str]:
    here = session(monkeypatch)
    observed = {"h1": serving("h1")}
    target = here.target_of(plan_stay(observed.values(), here.environment, wanted), observed)
    return [step.name for step in restore.steps(here, target)]


def test_the_copy_is_ready_before_users_go_and_everything_is_archived_once_they_are_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = table(monkeypatch, Restore(False, False, server=True, at=AT))
    assert steps == [
        "begin",
        "load-server",
        "freeze",
        "quiesce",
        "archive",
        "swap-server",
        "start",
        "prove",
        "seal",
    ]


def test_a_backup_with_files_brings_them_too_and_saves_those_that_go(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = table(monkeypatch, Restore(False, True, 7, server=True))
    assert steps[1:4] == ["load-server", "load-files", "backup"]
    assert steps.index("swap-server") < steps.index("swap-files") < steps.index("start")


def test_the_way_back_needs_neither_a_copy_nor_the_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = table(monkeypatch, Restore(False, False, undoes=EARLIER, server=True))
    assert "swap-server" in steps
    assert not {"load-server", "archive", "backup"} & set(steps)


def test_without_the_engine_a_server_is_refused_with_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    here = session(monkeypatch, engine="dump")
    assert here.physical is None
    with pytest.raises(BadInput, match=r"database\.engine is not pgbackrest") as refused:
        _ = here.point_in_time
    assert "inv backup.pitr-setup" in refused.value.hint


def test_a_restore_is_called_by_what_it_goes_back_to() -> None:
    assert Restore(False, False, server=True, at=AT).sentence == f"rollback to {AT}"
    assert Restore(False, True, 7, server=True).sentence == "rollback to backup 7"
    assert Restore(False, False, undoes=EARLIER, server=True).sentence == f"undo of run {EARLIER}"
