"""Starting a slot with a PM2 that does not always answer."""

from __future__ import annotations

import json
import os
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

# Says nothing that can be read as a list, and writes down what it is asked to do.
MUTE_PM2 = 'require("fs").appendFileSync(process.env.HOME + "/asked", process.argv.slice(3).join(" ") + "\\n");'

# Keeps its list in a file, as a daemon does in its memory.
LISTING_PM2 = """
const fs = require("fs"), home = process.env.HOME, [verb, word] = process.argv.slice(3);
let list = JSON.parse(fs.readFileSync(home + "/list.json"));
const entry = name => ({ name, pid: 1, pm2_env: { status: "online", restart_time: 0 } });
if (verb === "jlist") console.log(JSON.stringify(list));
if (verb === "delete") list = list.filter(p => p.name !== word);
if (verb === "start") list.push(entry(JSON.parse(fs.readFileSync(word)).apps[0].name));
if (verb === "save") fs.writeFileSync(process.env.PM2_HOME + "/dump.pm2", JSON.stringify(list));
fs.writeFileSync(home + "/list.json", JSON.stringify(list));
"""


@pytest.fixture
def mute_pm2(pm2_home: Path) -> Path:
    (pm2_home / "pm2.js").write_text(MUTE_PM2)
    return pm2_home / "pm2.js"


@pytest.mark.parametrize("resumed", [True, False])
def test_a_process_is_not_restarted_for_want_of_a_list(mute_pm2: Path, resumed: bool) -> None:
    """It may be the one that users are on."""
    home = mute_pm2.parent
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
    assert set((home / "asked").read_text().splitlines()) == {"jlist"}


@pytest.fixture
def paths(pm2_home: Path) -> Paths:
    """A host with both slots, and a PM2 daemon that was started anew: it knows of nothing."""
    (pm2_home / "pm2.js").write_text(LISTING_PM2)
    (pm2_home / "list.json").write_text("[]")
    found = Paths("shop", base=str(pm2_home))
    for slot in SLOTS:
        folder = Path(found.slot(slot), ".turnout")
        folder.mkdir(parents=True)
        (folder / "ecosystem.json").write_text(json.dumps({"apps": [{"name": found.process(slot)}]}))
    return found


def saved() -> list[str] | None:
    dump = Path(os.environ["PM2_HOME"], "dump.pm2")
    return [process["name"] for process in json.loads(dump.read_text())] if dump.exists() else None


def stop_blue(paths: Paths) -> None:
    node = shutil.which("node")
    assert node
    home = Path(paths.root).parent
    LocalHost("h1").run(pm2.stop(paths, "blue", 1, (paths.process("green"),), 5, node, str(home / "pm2.js")))


def test_the_slot_that_has_users_is_started_where_its_daemon_took_it_along(paths: Paths) -> None:
    stop_blue(paths)
    assert saved() == ["shop-green"]


def test_what_runs_without_its_daemon_is_left_alone_and_so_is_the_list_for_the_next_boot(paths: Paths) -> None:
    orphan = subprocess.Popen(["sleep", "60"], cwd=paths.slot("green"))
    try:
        stop_blue(paths)
    finally:
        orphan.kill()
        orphan.wait()
    assert saved() is None
    assert json.loads((Path(paths.root).parent / "list.json").read_text()) == []


def test_a_list_that_lacks_nobody_is_saved_as_it_is(paths: Paths) -> None:
    process = {"name": "shop-green", "pid": 7, "pm2_env": {"status": "online", "restart_time": 3}}
    (Path(paths.root).parent / "list.json").write_text(json.dumps([process]))
    stop_blue(paths)
    dump = json.loads(Path(os.environ["PM2_HOME"], "dump.pm2").read_text())
    assert dump == [process]
