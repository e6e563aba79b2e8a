"""A switch that cannot be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.commands import lease
from fabfile.engine.run import Run
from fabfile.engine.step import HostStep, SwitchStep
from fabfile.errors import FleetError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost


def test_where_nginx_keeps_its_traffic_the_hosts_behind_it_keep_the_new_release(tmp_path: Path) -> None:
    paths = Paths("shop", base=str(tmp_path))
    fleet = Fleet({name: LocalHost(name) for name in ("web", "app")})
    answer = fleet["web"].run(lease.acquire(paths, "r1", "ann@laptop", "deploy", 60))
    token = lease.parse_acquired(answer.stdout)
    assert isinstance(token, int)
    run = Run("r1", "deploy", fleet, paths, {"web": token, "app": token}, lambda event: None, LocalHost)
    refusing = {"web": Script("false\n", timeout=5, mutates=True)}
    stopping = {"app": Script(f"touch {tmp_path}/stopped\n", timeout=5, mutates=True)}
    with pytest.raises(FleetError):
        SwitchStep("switch", "", refusing, refusing, behind=("app",)).undo(run)
    HostStep("start", "", stopping, stopping).undo(run)
    assert not (tmp_path / "stopped").exists()
