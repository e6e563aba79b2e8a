"""The `inv lab.*` verbs: a network of real hosts on this machine, to try things on and to break."""

from __future__ import annotations

import os

from fabfile.errors import BadInput, Interrupted
from fabfile.lab.lab import Lab
from fabfile.ui.reporter import Reporter
from fabfile.verb import JSON, verb

NAME = "the lab's name, where there are several (default: demo)"
NODE = "the node: h1, h2 …, db or s3"


def _describe(lab: Lab, reporter: Reporter) -> None:
    status = lab.status()
    nodes = [{"node": node, "address": lab.address(node), "state": word} for node, word in status.items()]
    facts = {"name": lab.state.name, "engine": lab.engine.program, "s3": lab.state.store, "nodes": nodes}
    files = {"ssh_config": str(lab.ssh_config), "environment": str(lab.state.folder / "environment")}
    rows = [(node, lab.address(node), word) for node, word in status.items()]
    reporter.table(("NODE", "ADDRESS", "STATE"), rows, facts | files, "no nodes")


def _back(verb: str, host: str, name: str) -> str:
    """What to type to undo a fault."""
    return f"back with: inv lab.{verb} {host}" + ("" if name == "demo" else f" --name={name}")


@verb(
    help={
        "hosts": "how many web hosts, 1 to 200 (default: 2)",
        "s3": "the S3 server: moto, ceph (checks signatures; a larger image, built once) or none (default: moto)",
        "name": NAME,
        "json": JSON,
    },
)
def up(reporter: Reporter, hosts: int = 2, s3: str = "moto", name: str = "demo", json: bool = False) -> None:
    """Start web hosts, a PostgreSQL host and an S3 server on this machine."""
    try:
        lab = Lab.up(name, hosts=hosts, s3=s3, say=reporter.say)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; what was begun is removed", f"inv lab.up --name={name}") from error
    _describe(lab, reporter)


@verb(help={"name": NAME, "json": JSON})
def status(reporter: Reporter, name: str = "demo", json: bool = False) -> None:
    """Show every node of the lab and whether it is up, off, cut or silent."""
    _describe(Lab.load(name), reporter)


@verb(help={"name": NAME, "all": "every lab of this machine"})
def down(reporter: Reporter, name: str = "demo", all: bool = False) -> None:
    """Remove the lab, its disks and its network, and leave nothing behind."""
    Lab.remove_all(reporter.say) if all else Lab.remove(name, reporter.say)


@verb(help={"host": NODE, "drop": "let packets vanish instead: connections time out", "name": NAME})
def cut(reporter: Reporter, host: str, drop: bool = False, name: str = "demo") -> None:
    """Pull a node's network cable."""
    Lab.load(name).cut(host, drop=drop)
    reporter.say(f"{host} is cut off; {_back('heal', host, name)}")


@verb(help={"host": NODE, "name": NAME})
def heal(reporter: Reporter, host: str, name: str = "demo") -> None:
    """Plug a node's network cable in again."""
    Lab.load(name).heal(host)
    reporter.say(f"{host} is connected")


@verb(help={"host": NODE, "name": NAME})
def kill(reporter: Reporter, host: str, name: str = "demo") -> None:
    """Cut a node's power: every process dies at once, the disk stays."""
    Lab.load(name).kill(host)
    reporter.say(f"{host} is off; {_back('start', host, name)}")


@verb(
    help={"host": NODE, "early": "return when sshd answers, while services still start", "name": NAME},
)
def start(reporter: Reporter, host: str, early: bool = False, name: str = "demo") -> None:
    """Power a node on and wait until it has booted (moto's S3 comes back empty)."""
    Lab.load(name).start(host, early=early)
    reporter.say(f"{host} is up")


@verb(help={"host": NODE, "leave_mb": "megabytes to leave free (default: 0)", "name": NAME})
def fill(reporter: Reporter, host: str, leave_mb: int = 0, name: str = "demo") -> None:
    """Fill a node's disk at /var/app."""
    Lab.load(name).fill(host, leave_mb=leave_mb)
    reporter.say(f"{host}: /var/app is full; {_back('drain', host, name)}")


@verb(help={"host": NODE, "name": NAME})
def drain(reporter: Reporter, host: str, name: str = "demo") -> None:
    """Give a node's filled disk back."""
    Lab.load(name).drain(host)
    reporter.say(f"{host}: /var/app has room again")


@verb(
    help={"host": NODE, "mbit": "megabits per second each way", "ms": "milliseconds of delay each way", "name": NAME},
)
def slow(reporter: Reporter, host: str, mbit: float = 0.0, ms: float = 0.0, name: str = "demo") -> None:
    """Make a node's line slow; without --mbit and --ms it is fast again."""
    Lab.load(name).slow(host, mbit=mbit or None, ms=ms or None)
    reporter.say(f"{host} is slow; {_back('slow', host, name)}" if mbit or ms else f"{host} is at full speed")


@verb(help={"host": "the machine: h1, h2 … or db", "name": NAME})
def ssh(reporter: Reporter, host: str, name: str = "demo") -> None:
    """Open a shell on a machine of the lab, as deploy."""
    lab = Lab.load(name)
    if host not in lab.state.machines:
        raise BadInput(f"{host} has no sshd", f"machines that have one: {' '.join(lab.state.machines)}")
    os.execvp("ssh", ["ssh", "-F", str(lab.ssh_config), host])  # noqa: S606 - the terminal becomes ssh's
