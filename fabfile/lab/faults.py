"""Faults on demand, and their undoing: cables, power, disks and slow lines."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from fabfile.errors import BadInput, Refused
from fabfile.lab import linkdelay, network, nodes, services
from fabfile.lab.addresses import DATABASE, STORE, qualified
from fabfile.lab.engine import Engine
from fabfile.lab.processes import run, start
from fabfile.lab.state import State

MEGABYTE = 1 << 20
FILLER = ".fill"


def is_on(engine: Engine, state: State, node: str) -> bool:
    """Whether the node has power."""
    if node == STORE and state.store == "moto":
        return bool(run("ip", "netns", "pids", qualified(state.name, STORE), check=False))
    return engine.pid(qualified(state.name, node)) > 0


def cut(engine: Engine, state: State, node: str, *, drop: bool) -> None:
    """Pull the cable; with `drop` let packets vanish instead, so that connections time out."""
    port = _port(engine, state, node)
    network.drop(port) if drop else network.cut(port)


def heal(engine: Engine, state: State, node: str) -> None:
    """Undo `cut`."""
    network.mend(_port(engine, state, node))


def slow(engine: Engine, state: State, node: str, mbit: float | None, ms: float | None) -> None:
    """At most `mbit` Mbit/s each way and `ms` milliseconds more each way; neither: back to full speed."""
    port = _port(engine, state, node)
    if (mbit is not None and mbit <= 0) or (ms is not None and ms < 0):
        raise BadInput(f"{node}: {mbit} Mbit/s and {ms} ms are no line", "inv lab.slow h1 --mbit=2 --ms=80")
    network.full_speed(state.subnet, node)
    if mbit is not None or ms is not None:
        network.detour(state.subnet, node, mbit)
        words = (sys.executable, linkdelay.__file__, port, network.relay_end(port), str(ms or 0))
        start(*words, log=state.folder / "linkdelay.log")


def kill(engine: Engine, state: State, node: str) -> None:
    """A power cut: SIGKILL to every process at once. Nothing happens to a node that is off."""
    if not is_on(engine, state, node):
        return
    if node == STORE and state.store == "moto":
        services.stop_moto(state.name)
    else:
        engine.run("kill", "-s", "KILL", qualified(state.name, node))
    nodes.wait_until(lambda: not is_on(engine, state, node), f"{node} is off", threading.Event())


def power_on(engine: Engine, state: State, node: str, *, early: bool) -> None:
    """Boot from the same disk and wait until all is up; with `early` until sshd greets, while units still start."""
    stop = threading.Event()
    if not is_on(engine, state, node):
        if node == STORE and state.store == "moto":
            services.start_moto(state)
        else:
            nodes.power_on(engine, state, node)
    if node == STORE:
        services.wait_for_store(state, stop)
        return
    nodes.wait_for_ssh(state, node, stop)
    if not early:
        nodes.wait_booted(engine, state, node)
        if node == DATABASE:
            services.wait_for_database(state, stop)


def fill(state: State, node: str, leave_mb: int) -> None:
    """Fill the machine's /var/app until `leave_mb` MB are free."""
    disk = _disk(state, node)
    (disk / FILLER).unlink(missing_ok=True)
    filesystem = os.statvfs(disk)
    size = filesystem.f_bavail * filesystem.f_frsize - leave_mb * MEGABYTE
    if leave_mb < 0 or size <= 0:
        free = filesystem.f_bavail * filesystem.f_frsize // MEGABYTE
        raise BadInput(f"{node}: cannot leave {leave_mb} MB free of {free} MB", "inv lab.fill h1 --leave-mb=0")
    _allocate(disk / FILLER, size)


def _allocate(path: Path, size: int) -> None:
    """Take `size` bytes or what there is; the file's own bookkeeping needs a few blocks of it."""
    with path.open("wb") as file:
        while size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                return
            except OSError:
                size -= 64 * 1024


def drain(state: State, node: str) -> None:
    """Give the disk back."""
    (_disk(state, node) / FILLER).unlink(missing_ok=True)


def _disk(state: State, node: str) -> Path:
    if node not in state.machines:
        raise BadInput(f"{node} has no /var/app", f"nodes that have one: {' '.join(state.machines)}")
    return state.folder / node / "app"


def _port(engine: Engine, state: State, node: str) -> str:
    if not is_on(engine, state, node):
        raise Refused(f"{node} is off", f"power it on: inv lab.start {node} --name={state.name}")
    return state.subnet.port(node)
