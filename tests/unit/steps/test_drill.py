"""A backup's application started beside the live one on this machine, and a release tried within a run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from fabfile.commands import lease
from fabfile.config.schema import Environment
from fabfile.engine.events import Event, Note
from fabfile.engine.run import Run
from fabfile.errors import FleetError, RemoteError
from fabfile.model.paths import Paths
from fabfile.model.plan import AppPlan, Plan
from fabfile.model.recovery_point import RecoveryPoint
from fabfile.model.restore import Restore
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.scope import Scope
from fabfile.recovery.verify import read_parts
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps import scratch
from fabfile.steps.drill import start_beside
from fabfile.steps.target import Target
from fabfile.storage.directory import DirectoryStore
from tests.unit.recovery.test_capture_and_restore import MemoryDatabase
from tests.unit.recovery.test_verify import RUN, release_in

NODE = shutil.which("node") or "node"
SECRETS = {"DATABASE_URL": SecretStr("postgresql://app@db/app_verify_1")}
SERVER = """
const fs = require('fs');
const env = process.env;
fs.writeFileSync(env.SEEN, fs.readFileSync(env.ENV_FILE, 'utf8') + fs.readFileSync('uploads/picture', 'utf8'));
require('http').createServer((request, response) => response.end(JSON.stringify({ release: env.RELEASE_ID })))
    .listen(env.PORT, env.HOST);
"""


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    environment = Environment.model_validate(
        {
            "app": "example",
            "hosts": {"h1": {}},
            "release": {"shared": ["uploads"]},
            "health": {"timeout": "10s", "stable": "100ms"},
            "process": {"stop_timeout": "2s"},
            "env": {"SEEN": str(tmp_path / "seen")},
        }
    )
    paths = Paths("example", base=str(tmp_path))
    (Path(paths.shared) / "uploads").mkdir(parents=True)
    (Path(paths.shared) / "uploads" / "picture").write_text("as it was")
    catalogue = Catalogue(DirectoryStore(tmp_path / "store"), "turnout", "example", "demo")
    return Scope(environment, paths, {"h1": LocalHost("h1")}, catalogue, MemoryDatabase())


def saved(scope: Scope, server: str) -> RecoveryPoint:
    point = capture(scope, "full", "manual", RUN, release_in(scope.paths.releases, server))
    (Path(scope.paths.shared) / "uploads" / "picture").write_text("as it is now")
    return point


def drill(scope: Scope, point: RecoveryPoint, folder: Path) -> dict[str, float]:
    found = read_parts(scope, point, folder)
    assert found.release
    return start_beside(scope, point, found.release, SECRETS, scope.hosts["h1"], NODE, RUN)


def inside(scope: Scope) -> list[str]:
    return sorted(entry.name for entry in Path(scope.paths.root).iterdir())


def test_a_drill_starts_what_is_in_the_store_times_it_and_leaves_nothing(scope: Scope, tmp_path: Path) -> None:
    point = saved(scope, SERVER)
    shutil.rmtree(scope.paths.releases)
    before = inside(scope)
    phases = drill(scope, point, tmp_path)
    assert list(phases) == ["files", "release", "unpack", "healthy"]
    assert all(seconds > 0 for seconds in phases.values())
    assert (tmp_path / "seen").read_text() == "DATABASE_URL=postgresql://app@db/app_verify_1\nas it was"
    assert inside(scope) == before


def test_a_drill_that_fails_leaves_nothing_either(scope: Scope, tmp_path: Path) -> None:
    point = saved(scope, "throw new Error('no table')")
    before = inside(scope)
    with pytest.raises(RemoteError, match="does not stay up in a scratch slot"):
        drill(scope, point, tmp_path)
    assert inside(scope) == before


@pytest.mark.parametrize("server", [SERVER, "throw new Error('no table')"])
def test_a_run_tries_its_release_on_files_that_nobody_sees_yet(scope: Scope, tmp_path: Path, server: str) -> None:
    point = saved(scope, server)
    release = read_parts(scope, point, tmp_path).release
    assert release
    beside = Path(scope.paths.root, ".shared.next", "uploads")
    beside.mkdir(parents=True)
    (beside / "picture").write_text("as it will be")
    host = scope.hosts["h1"]
    token = lease.parse_acquired(host.run(lease.acquire(scope.paths, RUN, "ann@laptop", "rollback", 120)).stdout)
    assert isinstance(token, int)
    events: list[Event] = []
    run = Run(RUN, "rollback", Fleet(scope.hosts), scope.paths, {"h1": token}, events.append, LocalHost)
    app = AppPlan("h1", "green", 3002, "127.0.0.1", "blue", None, 3001, False, NODE, "pm2")
    restore = Restore(database=True, files=True, point=3)
    plan = Plan("rollback", "restore", release.manifest.id, (app,), (), restore=restore)
    target = Target(
        RUN, "demo", "ann@laptop", "", plan, scope.environment, scope.paths, {}, "", {}, release.manifest, release.path
    )
    before = inside(scope)
    step = scratch.smoke(target, SECRETS, str(beside.parent))
    if server is SERVER:
        step.do(run)
        assert (tmp_path / "seen").read_text().endswith("app_verify_1\nas it will be")
        assert next(event.text for event in events if isinstance(event, Note)).startswith("healthy on h1 after ")
    else:
        with pytest.raises(FleetError, match="does not stay up"):
            step.do(run)
    step.undo(run)
    scratch.smoke(replace(target, manifest=None, archive=None), SECRETS, "").undo(run)
    assert inside(scope) == before
