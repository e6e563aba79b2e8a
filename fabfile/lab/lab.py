"""The lab as one object: bring it up, look, break things, and leave nothing behind."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fabfile.errors import BadInput, Refused
from fabfile.lab import faults, network, nodes, prerequisites, services, teardown
from fabfile.lab import state as states
from fabfile.lab.addresses import DATABASE, STORE, host_names, lab_name, qualified
from fabfile.lab.engine import CACHE, Engine, find_engine
from fabfile.lab.image import ceph_image, host_image
from fabfile.lab.processes import run
from fabfile.lab.state import State

STORES = ("moto", "ceph", "none")
PARALLEL = 16
Say = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Lab:
    """A lab that is up; its faults are methods, named as the `inv lab.*` verbs."""

    state: State
    engine: Engine

    @classmethod
    def up(cls, name: str = "demo", *, hosts: int = 2, s3: str = "moto", say: Say = silent) -> Lab:
        """Make the lab, or find it as asked for.

        Raises:
            BadInput: an argument cannot be used, or something is missing on this machine.
            Refused: a lab of that name is there and is not what is asked for, or not well.
        """
        if s3 not in STORES:
            raise BadInput(f"{s3!r} is no S3 server of the lab", f"--s3 takes {', '.join(STORES)}")
        lab_name(name)
        host_names(hosts)
        _check_machine(moto=s3 == "moto")
        engine = find_engine()
        with _alone(say):
            traces = teardown.labs(engine)
            for dead in teardown.abandoned(traces):
                teardown.remove(engine, dead)
            if existing := states.load(name):
                return cls(existing, engine)._as_asked(hosts, s3, say)
            if name in traces:
                say(f"removing what is left of an unfinished lab {name}")
                teardown.remove(engine, name)
            return cls._make(engine, name, hosts, s3, _with_seconds(say))

    @classmethod
    def _make(cls, engine: Engine, name: str, hosts: int, s3: str, say: Say) -> Lab:
        image = host_image(engine, say)
        store_image = ceph_image(engine, say) if s3 == "ceph" else ""
        try:
            subnet = network.claim(name)
            lab = cls(State(name, subnet.number, hosts, s3, image), engine)
            _private_folder(lab.state.folder)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"turnout-lab-{name}", "-f", lab.key)
            nodes.make_room(len(lab.nodes))
            lab._boot(store_image, say)
            states.save(lab.state)
        except BaseException:
            say(f"removing the unfinished lab {name}")
            teardown.remove(engine, name)
            raise
        say(f"lab {name} is up; look inside: ssh -F {lab.ssh_config} h1")
        return lab

    def _boot(self, store_image: str, say: Say) -> None:
        stop = threading.Event()

        def boot(node: str) -> str:
            if node == STORE:
                services.create_store(self.engine, self.state, store_image)
                services.wait_for_store(self.state, stop)
            else:
                nodes.create(self.engine, self.state, node)
                nodes.wait_for_ssh(self.state, node, stop)
                nodes.wait_booted(self.engine, self.state, node)
            if node == DATABASE:
                services.wait_for_database(self.state, stop)
                services.create_roles(self.engine, self.state)
            return node

        with ThreadPoolExecutor(min(len(self.nodes), PARALLEL)) as pool:
            booting = [pool.submit(boot, node) for node in self.nodes]
            try:
                for done in as_completed(booting):
                    say(f"{done.result()} is ready at {self.address(done.result())}")
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _as_asked(self, hosts: int, s3: str, say: Say) -> Lab:
        again = (
            f"inv lab.down --name={self.state.name}, then inv lab.up --name={self.state.name} --hosts={hosts} --s3={s3}"
        )
        if s3 != self.state.store:
            raise Refused(f"lab {self.state.name} is up with --s3={self.state.store}, not {s3}", again)
        if hosts > len(self.hosts):
            raise Refused(f"lab {self.state.name} is up with {len(self.hosts)} web hosts, not {hosts}", again)
        unwell = [f"{node} is {word}" for node, word in self.status().items() if word != "up"]
        if unwell:
            cure = "lab.start powers a node on, lab.heal mends its cable; or anew: "
            raise Refused(f"lab {self.state.name} is not well: {', '.join(unwell)}", cure + again)
        say(f"lab {self.state.name} is up already")
        return self

    @classmethod
    def load(cls, name: str = "demo") -> Lab:
        """The lab `name` that is up.

        Raises:
            BadInput: there is none.
        """
        found = states.load(lab_name(name))
        if found is None:
            raise BadInput(f"there is no lab {name}", f"inv lab.up --name={name}")
        return cls(found, find_engine())

    @staticmethod
    def remove(name: str, say: Say = silent) -> None:
        """Take the lab away, whole or in pieces; nothing happens where there is none."""
        lab_name(name)
        _check_machine(moto=False)
        with _alone(say):
            teardown.remove(find_engine(), name)
        say(f"nothing is left of lab {name}")

    @staticmethod
    def remove_all(say: Say = silent) -> None:
        """Take every lab of this machine away."""
        _check_machine(moto=False)
        engine = find_engine()
        with _alone(say):
            for name in teardown.labs(engine):
                teardown.remove(engine, name)
                say(f"nothing is left of lab {name}")

    def down(self) -> None:
        self.remove(self.state.name)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Every node: web hosts, db and, where there is one, s3."""
        return self.state.nodes

    @property
    def hosts(self) -> tuple[str, ...]:
        """The web hosts, h1 to hN."""
        return self.state.hosts

    @property
    def ssh_config(self) -> Path:
        return self.state.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.state.folder / "known_hosts"

    @property
    def key(self) -> Path:
        """The private key that lets `deploy` in on every machine."""
        return self.state.folder / "key"

    @property
    def environment(self) -> dict[str, str]:
        """Variables with the passwords, keys and addresses of this lab, secrets included."""
        return self.state.environment

    def address(self, node: str) -> str:
        return self.state.subnet.address(self.known(node))

    def known(self, node: str) -> str:
        """The node itself.

        Raises:
            BadInput: this lab has no such node.
        """
        if node not in self.nodes:
            raise BadInput(f"lab {self.state.name} has no node {node!r}", f"its nodes: {' '.join(self.nodes)}")
        return node

    def status(self) -> dict[str, str]:
        """What each node is: `up`, `off`, `cut` (no cable, or packets dropped) or `silent` (on, but no answer)."""
        with ThreadPoolExecutor(min(len(self.nodes), PARALLEL)) as pool:
            return dict(zip(self.nodes, pool.map(self._status, self.nodes), strict=True))

    def _status(self, node: str) -> str:
        if not faults.is_on(self.engine, self.state, node):
            return "off"
        if network.cable(self.state.subnet.port(node)) != "plugged":
            return "cut"
        checks = {STORE: services.store_answers, DATABASE: services.database_answers}
        answers = checks[node](self.state) if node in checks else nodes.ssh_answers(self.state, node)
        return "up" if answers else "silent"

    def cut(self, node: str, *, drop: bool = False) -> None:
        faults.cut(self.engine, self.state, self.known(node), drop=drop)

    def heal(self, node: str) -> None:
        faults.heal(self.engine, self.state, self.known(node))

    def kill(self, node: str) -> None:
        faults.kill(self.engine, self.state, self.known(node))

    def start(self, node: str, *, early: bool = False) -> None:
        faults.power_on(self.engine, self.state, self.known(node), early=early)

    def fill(self, node: str, *, leave_mb: int = 0) -> None:
        faults.fill(self.state, self.known(node), leave_mb)

    def drain(self, node: str) -> None:
        faults.drain(self.state, self.known(node))

    def slow(self, node: str, *, mbit: float | None = None, ms: float | None = None) -> None:
        faults.slow(self.engine, self.state, self.known(node), mbit, ms)

    def execute(self, node: str, *words: str, user: str = "root", text: str = "") -> str:
        """Run words on the node as the engine can, not over ssh: to look at a host, or to sabotage it.

        Raises:
            TurnoutError: they ended with a non-zero status.
        """
        container = qualified(self.state.name, self.known(node))
        return self.engine.run("exec", *(("-i",) if text else ()), "-u", user, container, *words, text=text)


def _check_machine(*, moto: bool) -> None:
    if sys.platform != "linux":
        raise BadInput(f"the lab needs Linux, and this is {sys.platform}", "run it in a virtual machine with Debian 12")
    lacking = []
    if os.geteuid() != 0:
        lacking.append("root: run it as root, or with sudo")
    if tools := prerequisites.missing(prerequisites.needed()):
        lacking.append("programs: apt-get install --no-install-recommends " + " ".join(tool.package for tool in tools))
    if moto and importlib.util.find_spec("moto") is None:
        lacking.append(f"Python packages for {sys.executable}: scripts/setup")
    if lacking:
        raise BadInput("this machine cannot run the lab yet", "get what is named above, then try again", lacking)


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    """One `up` or `down` at a time on this machine; others wait for their turn."""
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = os.open(CACHE, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another lab to come up or go down; Ctrl-C gives up")
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _private_folder(folder: Path) -> None:
    root = folder.parent
    root.mkdir(exist_ok=True)
    if root.is_symlink() or root.stat().st_uid != os.geteuid():
        raise Refused(f"{root} belongs to somebody else", f"look at it, then remove it: ls -la {root}")
    folder.mkdir(mode=0o700)


def _with_seconds(say: Say) -> Say:
    began = time.monotonic()
    return lambda line: say(f"{time.monotonic() - began:6.1f} s  {line}")
