"""The `inv lab.*` verbs: a network of real hosts on this machine, to try things on and to break."""

from __future__ import annotations

import json
import os
import sys

from invoke.context import Context
from invoke.tasks import task

from fabfile.errors import BadInput, Interrupted
from fabfile.lab.lab import Lab

NAME = "the lab's name, where there are several (default: demo)"
NODE = "the node: h1, h2 …, db or s3"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _back(verb: str, host: str, name: str) -> str:
    """What to type to undo a fault."""
    return f"back with: inv lab.{verb} {host}" + ("" if name == "demo" else f" --name={name}")


def _described(lab: Lab, *, as_json: bool) -> str:
    status = lab.status()
    if not as_json:
        return "".join(f"{node:5} {lab.address(node):13} {word}\n" for node, word in status.items())
    nodes = [{"node": node, "address": lab.address(node), "state": word} for node, word in status.items()]
    facts = {"name": lab.state.name, "engine": lab.engine.program, "s3": lab.state.store, "nodes": nodes}
    files = {"ssh_config": str(lab.ssh_config), "environment": str(lab.state.folder / "environment")}
    return json.dumps(facts | files) + "\n"


@task(
    auto_shortflags=False,
    help={
        "hosts": "how many web hosts, 1 to 200 (default: 2)",
        "s3": "the S3 server: moto, ceph (checks signatures; a larger image, built once) or none (default: moto)",
        "name": NAME,
        "json": "print the lab as one JSON document",
    },
)
def up(context: Context, hosts: int = 2, s3: str = "moto", name: str = "demo", json: bool = False) -> None:
    """Start web hosts, a PostgreSQL host and an S3 server on this machine."""
    try:
        lab = Lab.up(name, hosts=hosts, s3=s3, say=_say)
    except KeyboardInterrupt as error:
        raise Interrupted("interrupted; what was begun is removed", f"inv lab.up --name={name}") from error
    sys.stdout.write(_described(lab, as_json=json))


@task(auto_shortflags=False, help={"name": NAME, "json": "print the lab as one JSON document"})
def status(context: Context, name: str = "demo", json: bool = False) -> None:
    """Show every node of the lab and whether it is up, off, cut or silent."""
    sys.stdout.write(_described(Lab.load(name), as_json=json))


@task(auto_shortflags=False, help={"name": NAME, "all": "every lab of this machine"})
def down(context: Context, name: str = "demo", all: bool = False) -> None:
    """Remove the lab, its disks and its network, and leave nothing behind."""
    Lab.remove_all(_say) if all else Lab.remove(name, _say)


@task(
    auto_shortflags=False, help={"host": NODE, "drop": "let packets vanish instead: connections time out", "name": NAME}
)
def cut(context: Context, host: str, drop: bool = False, name: str = "demo") -> None:
    """Pull a node's network cable."""
    Lab.load(name).cut(host, drop=drop)
    _say(f"{host} is cut off; {_back('heal', host, name)}")


@task(auto_shortflags=False, help={"host": NODE, "name": NAME})
def heal(context: Context, host: str, name: str = "demo") -> None:
    """Plug a node's network cable in again."""
    Lab.load(name).heal(host)
    _say(f"{host} is connected")


@task(auto_shortflags=False, help={"host": NODE, "name": NAME})
def kill(context: Context, host: str, name: str = "demo") -> None:
    """Cut a node's power: every process dies at once, the disk stays."""
    Lab.load(name).kill(host)
    _say(f"{host} is off; {_back('start', host, name)}")


@task(
    auto_shortflags=False,
    help={"host": NODE, "early": "return when sshd answers, while services still start", "name": NAME},
)
def start(context: Context, host: str, early: bool = False, name: str = "demo") -> None:
    """Power a node on and wait until it has booted (moto's S3 comes back empty)."""
    Lab.load(name).start(host, early=early)
    _say(f"{host} is up")


@task(auto_shortflags=False, help={"host": NODE, "leave-mb": "megabytes to leave free (default: 0)", "name": NAME})
def fill(context: Context, host: str, leave_mb: int = 0, name: str = "demo") -> None:
    """Fill a node's disk at /var/app."""
    Lab.load(name).fill(host, leave_mb=leave_mb)
    _say(f"{host}: /var/app is full; {_back('drain', host, name)}")


@task(auto_shortflags=False, help={"host": NODE, "name": NAME})
def drain(context: Context, host: str, name: str = "demo") -> None:
    """Give a node's filled disk back."""
    Lab.load(name).drain(host)
    _say(f"{host}: /var/app has room again")


@task(
    auto_shortflags=False,
    help={"host": NODE, "mbit": "megabits per second each way", "ms": "milliseconds of delay each way", "name": NAME},
)
def slow(context: Context, host: str, mbit: float = 0.0, ms: float = 0.0, name: str = "demo") -> None:
    """Make a node's line slow; without --mbit and --ms it is fast again."""
    Lab.load(name).slow(host, mbit=mbit or None, ms=ms or None)
    _say(f"{host} is slow; {_back('slow', host, name)}" if mbit or ms else f"{host} is at full speed")


@task(auto_shortflags=False, help={"host": "the machine: h1, h2 … or db", "name": NAME})
def ssh(context: Context, host: str, name: str = "demo") -> None:
    """Open a shell on a machine of the lab, as deploy."""
    lab = Lab.load(name)
    if host not in lab.state.machines:
        raise BadInput(f"{host} has no sshd", f"machines that have one: {' '.join(lab.state.machines)}")
    os.execvp("ssh", ["ssh", "-F", str(lab.ssh_config), host])  # noqa: S606 - the terminal becomes ssh's
