"""A node's life: its disk and keys, its first boot, a power cut, the next boot, and when it is ready."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from fabfile.errors import Refused, TurnoutError
from fabfile.lab import network
from fabfile.lab.addresses import LABEL, qualified
from fabfile.lab.engine import Engine
from fabfile.lab.processes import run
from fabfile.lab.state import State

BOOT_SECONDS = 90
POLL_SECONDS = 0.03
DISK_BYTES = 1 << 30
DEPLOY_UID = 1000
WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
WATCHES_EACH = 8
"""At most so many inotify instances are in use by a machine that has booted (6 were counted)."""


def make_room(machines: int, limit: Path = WATCHES) -> None:
    """Let so many more machines boot: all of them share root's inotify instances, 128 by default, and without one left
    systemd never comes to start sshd. The limit is only ever raised, and stays so until the next boot.

    Raises:
        Refused: this machine does not let us.
    """
    allowed, needed = int(limit.read_text()), machines * WATCHES_EACH
    if needed > allowed // 2:
        try:
            limit.write_text(f"{allowed + needed}\n")
        except OSError as error:
            raise Refused(
                f"{machines} machines need more inotify instances than the {allowed} of this one: {error}",
                f"where it can be set: sysctl fs.inotify.max_user_instances={allowed + needed}",
            ) from error


def create(engine: Engine, state: State, node: str) -> None:
    """Make the machine `node` with a disk of its own at /var/app, and power it on."""
    folder = state.folder / node
    folder.mkdir(mode=0o700)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", node, "-f", folder / "host_key")
    disk = _disk(folder)
    container = qualified(state.name, node)
    options = ["--name", container, "--hostname", node, "--label", f"{LABEL}={state.name}", "--network", "none"]
    options += ["--memory", "1g", "--pids-limit", "2000", *engine.machine_options()]
    options += ["-v", f"{disk}:/var/app", "-v", f"{folder / 'host_key'}:/etc/ssh/lab_host_key:ro"]
    options += ["-v", f"{state.folder / 'key.pub'}:/etc/ssh/lab_keys:ro"]
    for entry in state.subnet.hosts_file(state.nodes):
        options += ["--add-host", entry]
    engine.run("create", *options, state.image)
    power_on(engine, state, node)


def _disk(folder: Path) -> Path:
    image, mounted = folder / "app.img", folder / "app"
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    extended = f"lazy_itable_init=1,root_owner={DEPLOY_UID}:{DEPLOY_UID}"
    run("mkfs.ext4", "-q", "-m", "0", "-O", "^has_journal", "-E", extended, image)
    mounted.mkdir()
    run("mount", "-o", "loop", image, mounted)
    (mounted / "lost+found").rmdir()
    return mounted


def power_on(engine: Engine, state: State, node: str) -> None:
    """Start the container on the disk it has, with a new and healthy cable."""
    container = qualified(state.name, node)
    engine.run("start", container)
    network.plug(state.subnet, node, pid=engine.pid(container))


def answers(address: str, port: int, greeting: bytes = b"", seconds: float = 1.0) -> bool:
    """Whether something accepts connections there and, if asked for, greets with `greeting`."""
    try:
        with socket.create_connection((address, port), timeout=seconds) as connection:
            return not greeting or connection.recv(len(greeting)) == greeting
    except OSError:
        return False


def ssh_answers(state: State, node: str, seconds: float = 1.0) -> bool:
    """Whether the machine's sshd greets."""
    return answers(state.subnet.address(node), 22, b"SSH-", seconds)


def wait_until(ready: Callable[[], bool], what: str, stop: threading.Event, seconds: float = BOOT_SECONDS) -> None:
    """Poll until `ready`.

    Raises:
        TurnoutError: it was not after `seconds`, or `stop` was set before.
    """
    end = time.monotonic() + seconds
    while not ready():
        if stop.wait(POLL_SECONDS):
            raise TurnoutError(f"{what}: no longer waited for")
        if time.monotonic() > end:
            raise TurnoutError(f"{what}: not so after {seconds:.0f} s", "inv lab.status shows which nodes answer")


def wait_for_ssh(state: State, node: str, stop: threading.Event) -> None:
    wait_until(lambda: ssh_answers(state, node), f"{node} answers at {state.subnet.address(node)}", stop)


def wait_booted(engine: Engine, state: State, node: str) -> None:
    """Wait until systemd has started everything.

    Before that `pm2 resurrect` may still be starting its daemon; a pm2 command over ssh would start a second one and
    hang.
    """
    engine.run("exec", qualified(state.name, node), "systemctl", "is-system-running", "--wait", check=False)
