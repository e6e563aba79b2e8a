"""Starting a slot with a PM2 that does not always answer."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from fabfile.commands import pm2
from fabfile.errors import RemoteError
from fabfile.model.observed import SLOTS
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost
from tests.unit.commands.conftest import Install

NOTE = 'fs.appendFileSync(home + "/asked", %s + "\\n");'
MUTE_DAEMON = NOTE % "name" + 'done(new Error("mute"));'
MUTE_PM2 = 'const fs = require("fs"), home = process.env.HOME;' + NOTE % 'process.argv.slice(3).join(" ")'

# Keeps its list in a file, as a daemon does in its memory.
LISTING_PM2 = """
const fs = require("fs"), home = process.env.HOME, [verb, word] = process.argv.slice(3);
let list = JSON.parse(fs.readFileSync(home + "/list.json"));
const entry = name => ({ name, pid: 1, pm2_env: { status: "online", restart_time: 0 } });
if (verb === "delete") list = list.filter(p => p.name !== word);
if (verb === "start") list.push(entry(JSON.parse(fs.readFileSync(word)).apps[0].name));
if (verb === "save") fs.writeFileSync(home + "/.pm2/dump.pm2", JSON.stringify(list));
fs.writeFileSync(home + "/list.json", JSON.stringify(list));
"""


@pytest.mark.slow
@pytest.mark.parametrize("resumed", [True, False])
def test_a_process_is_not_restarted_for_want_of_a_list(install_pm2: Install, tmp_path: Path, resumed: bool) -> None:
    """It may be the one that users are on."""
    home, mute_pm2 = tmp_path, install_pm2(MUTE_DAEMON, MUTE_PM2)
    paths = Paths("shop", base=str(home))
    node = shutil.which("node")
    assert node
    folder = Path(paths.slot("blue"), ".turnout")
    folder.mkdir(parents=True)
    (folder / "started").write_text("r1\n")
    script: Script
    if resumed:
        script = pm2.start(paths, "blue", 3001, (), "r1", 5, node, str(mute_pm2))
    else:
        script = pm2.start_unless_online(paths, "blue", 3001, 5, node, str(mute_pm2))
    with pytest.raises(RemoteError, match="pm2 gives no list"):
        LocalHost("h1").run(script)
    assert set((home / "asked").read_text().splitlines()) == {"getMonitorData"}


@pytest.fixture
def paths(install_pm2: Install, tmp_path: Path) -> Paths:
    """A host with both slots, and a PM2 daemon that was started anew: it knows of nothing."""
    install_pm2('done(null, JSON.parse(fs.readFileSync(home + "/list.json")));', LISTING_PM2)
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / ".pm2").mkdir()
    found = Paths("shop", base=str(tmp_path))
    for slot in SLOTS:
        folder = Path(found.slot(slot), ".turnout")
        folder.mkdir(parents=True)
        (folder / "ecosystem.json").write_text(json.dumps({"apps": [{"name": found.process(slot)}]}))
    return found


def saved(paths: Paths) -> list[str] | None:
    dump = Path(paths.base, ".pm2", "dump.pm2")
    return [process["name"] for process in json.loads(dump.read_text())] if dump.exists() else None


def stop_blue(paths: Paths) -> None:
    node = shutil.which("node")
    assert node
    LocalHost("h1").run(pm2.stop(paths, "blue", 1, (paths.process("green"),), 5, node, f"{paths.base}/pm2/bin/pm2"))


def test_the_slot_that_has_users_is_started_where_its_daemon_took_it_along(paths: Paths) -> None:
    stop_blue(paths)
    assert saved(paths) == ["shop-green"]


def test_what_runs_without_its_daemon_is_left_alone_and_so_is_the_list_for_the_next_boot(paths: Paths) -> None:
    orphan = subprocess.Popen(["sleep", "60"], cwd=paths.slot("green"))
    try:
        stop_blue(paths)
    finally:
        orphan.kill()
        orphan.wait()
    assert saved(paths) is None
    assert json.loads(Path(paths.base, "list.json").read_text()) == []


def test_a_list_that_lacks_nobody_is_saved_as_it_is(paths: Paths) -> None:
    process = {"name": "shop-green", "pid": 7, "pm2_env": {"status": "online", "restart_time": 3}}
    Path(paths.base, "list.json").write_text(json.dumps([process]))
    stop_blue(paths)
    dump = json.loads(Path(paths.base, ".pm2", "dump.pm2").read_text())
    assert dump == [process]
