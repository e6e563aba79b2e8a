"""Taking labs away: found by what they left on the machine, so that no state file is needed."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from fabfile.lab import network, services, state
from fabfile.lab.addresses import STORE, qualified
from fabfile.lab.engine import Engine
from fabfile.lab.processes import run

TEST_LAB = re.compile(r"test-(?P<pid>\d+)(-[a-z0-9-]+)?")


def labs(engine: Engine) -> tuple[str, ...]:
    """Every lab, whole or in pieces, that this machine has a trace of."""
    folders = {path.name for path in state.ROOT.iterdir()} if state.ROOT.is_dir() else set()
    namespaces = re.findall(rf"^{qualified('(.+)', STORE)}\b", run("ip", "netns", "list"), re.MULTILINE)
    return tuple(sorted({*folders, *namespaces, *network.claimed(), *engine.labelled().values()}))


def remove(engine: Engine, lab: str) -> None:
    """Leave nothing of the lab: no container, process, link, route, rule, namespace, mount or file."""
    engine.remove(tuple(container for container, owner in engine.labelled().items() if owner == lab))
    services.stop_moto(lab)
    for subnet in network.claimed().get(lab, ()):
        network.release(subnet)
    run("ip", "netns", "del", qualified(lab, STORE), check=False)
    folder = state.folder(lab)
    for mounted in _mounts_below(folder):
        run("umount", mounted, check=False)
        if mounted.is_mount():
            run("umount", "--lazy", mounted)
    if folder.exists():
        shutil.rmtree(folder)
    if state.ROOT.is_dir() and not any(state.ROOT.iterdir()):
        state.ROOT.rmdir()


def abandoned(names: tuple[str, ...]) -> tuple[str, ...]:
    """Labs of test runs that are no more: `test-<pid>` where that process is gone."""
    return tuple(name for name in names if (test := TEST_LAB.fullmatch(name)) and not _alive(int(test["pid"])))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _mounts_below(folder: Path) -> list[Path]:
    points = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in reversed(points) if folder in point.parents]
