"""Deploys and rollbacks on fleets of several sizes: how long each takes, and within what time all hosts have switched.

Every fleet is a lab of its own (root), all on this machine: the larger ones mostly measure how it copes with so many
hosts that start Node at once.

python -m benchmarks.fleet [--json] [--hosts=1,3,10,30] [--rounds=N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from fabfile.lab.lab import Lab
from tests.e2e.project import Project

LAB = "fleet"


@dataclass(frozen=True)
class Fleet:
    """Medians over the rounds, in seconds: the commands, and the step that moves traffic in each of them."""

    hosts: int
    up: float
    deploy: float
    deploy_switch: float
    rollback: float
    rollback_switch: float


def timed(project: Project, *words: str) -> tuple[float, float]:
    """Seconds of a command, and of its switch."""
    began = time.monotonic()
    done = project.inv(*words, "--json")
    seconds = time.monotonic() - began
    events = [json.loads(line) for line in done.out.splitlines()]
    switch = [
        event["seconds"] for event in events if (event.get("event"), event.get("step")) == ("step-done", "switch")
    ]
    return seconds, switch[0]


def measure(hosts: int, rounds: int) -> Fleet:
    """Start a lab, and go to a release and back in turn."""
    began = time.monotonic()
    lab = Lab.up(LAB, hosts=hosts)
    up = time.monotonic() - began
    try:
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder), lab)
            ssh = {"config": str(lab.ssh_config), "known_hosts": str(lab.known_hosts), "connect_timeout": "30s"}
            project.configure(ssh=ssh, health={"timeout": "2m", "stable": "1s", "request_timeout": "10s"})
            first, second = project.build("1.0.0"), project.build("2.0.0")
            project.inv("deploy", f"--release={first}")
            found = [
                (timed(project, "deploy", f"--release={second}"), timed(project, "rollback")) for _ in range(rounds)
            ]
    finally:
        lab.down()
    deploys, rollbacks = zip(*found, strict=True)
    (deploy, deploy_switch), (rollback, rollback_switch) = (
        map(statistics.median, zip(*times, strict=True)) for times in (deploys, rollbacks)
    )
    return Fleet(hosts, up, deploy, deploy_switch, rollback, rollback_switch)


def main() -> int:
    """Measure each size and print one line for it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--hosts", default="1,3,10,30")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for size in map(int, arguments.hosts.split(",")):
        fleet = measure(size, arguments.rounds)
        if arguments.json:
            print(json.dumps(asdict(fleet)), flush=True)
        else:
            print(
                f"{fleet.hosts:3} hosts: deploy {fleet.deploy:5.1f} s (switch {fleet.deploy_switch * 1000:4.0f} ms), "
                f"rollback {fleet.rollback:5.1f} s (switch {fleet.rollback_switch * 1000:4.0f} ms), "
                f"lab up in {fleet.up:.0f} s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
