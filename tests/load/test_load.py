"""Deploys and rollbacks under load: nobody is refused, cut off, or sent away before the time."""

from __future__ import annotations

import time

import pytest

from tests.e2e.project import Project
from tests.load.load import Load

pytestmark = pytest.mark.lab

LIMIT = 5.0
SOCKETS = 200


def addresses(project: Project) -> list[str]:
    return [f"{project.lab.address(host)}:80" for host in project.lab.hosts]


@pytest.mark.timeout(3600)
def test_no_deploy_and_no_rollback_is_noticed_under_load(
    project: Project, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    rounds: int = request.config.getoption("--rounds")
    first, second = project.build("1.0.0"), project.build("2.0.0")
    project.inv("deploy", f"--release={first}")
    load = Load(addresses(project), LIMIT, SOCKETS)
    try:
        with load:
            for _ in range(rounds):
                project.inv("deploy", f"--release={second}")
                project.inv("rollback")
    finally:
        # After a failed deploy too: what users noticed of it is what matters most.
        with capsys.disabled():
            print(f"\n{load.figures}")
    assert load.figures.clean, "\n".join((str(load.figures), *load.figures.details))
    # Nothing was counted as well because nothing happened.
    assert {switches.count for switches in load.switches.values()} == {2 * rounds}
    assert load.figures.moved == 2 * rounds * SOCKETS


def test_a_slot_that_dies_is_seen_in_every_count(project: Project) -> None:
    release = project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    load = Load(addresses(project), LIMIT, SOCKETS)
    with load:
        project.lab.execute("h1", "pkill", "-KILL", "-u", "deploy", "-f", "server.js")
        time.sleep(2)
    hit, spared = addresses(project)[0], addresses(project)[1:]
    assert load.figures.failed > 0
    assert load.figures.resets >= SOCKETS // 3
    assert load.figures.dropped >= SOCKETS // 3
    assert all(hit in detail for detail in load.figures.details)
    assert not any(address in detail for address in spared for detail in load.figures.details)


def test_connections_that_nginx_takes_away_are_seen_as_resets(project: Project) -> None:
    release = project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    load = Load(addresses(project), LIMIT, sockets=3)
    with load:
        for _ in range(10):
            project.lab.execute("h1", "systemctl", "reload", "nginx")
            time.sleep(0.3)
    assert load.figures.resets > 0, load.figures
