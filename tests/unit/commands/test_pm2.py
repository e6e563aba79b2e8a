"""Starting a slot with a PM2 that does not always answer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fabfile.commands import pm2
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost

# Says nothing that can be read as a list, and writes down what it is asked to do.
MUTE_PM2 = 'require("fs").appendFileSync(process.env.HOME + "/asked", process.argv.slice(3).join(" ") + "\\n");'


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
        script = pm2.start(paths, "blue", 3001, "r1", 5, node, str(mute_pm2))
    else:
        script = pm2.start_unless_online(paths, "blue", 3001, 5, node, str(mute_pm2))
    with pytest.raises(RemoteError, match="pm2 gives no list"):
        LocalHost("h1").run(script)
    assert set((home / "asked").read_text().splitlines()) == {"jlist"}
