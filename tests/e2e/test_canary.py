"""A canary: the same clients stay in it, a worse release is taken back by its gate, a good one goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.crowd import COOKIE, Crowd, ask
from tests.e2e.project import Done, Project

pytestmark = pytest.mark.lab

GATES = {"min_requests": 40, "interval": "2s"}
CANARY = ("--canary=10,50,100", "--step=12s")


@pytest.fixture(autouse=True)
def settings(project: Project) -> None:
    project.configure(site={"client_cookie": COOKIE}, gates=GATES)


@pytest.fixture
def crowd(project: Project) -> Iterator[Crowd]:
    """Enough traffic for a verdict."""
    with Crowd([project.lab.address(host) for host in project.lab.hosts]) as found:
        yield found


def verdicts(done: Done) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in done.out.splitlines()]
    return [event["verdict"] for event in events if event.get("event") == "judged"]


def serving(project: Project) -> set[str | None]:
    return {release for _, release in project.live().values()}


def test_clients_come_to_a_good_release_in_shares_and_none_goes_back(
    project: Project, first: str, crowd: Crowd
) -> None:
    second = project.build("2.0.0")
    done = project.inv("deploy", f"--release={second}", *CANARY, "--watch=4s", "--json")
    assert serving(project) == {second}
    assert [(verdict["step"], verdict["outcome"]) for verdict in verdicts(done)][:2] == [
        ("gate-10", "pass"),
        ("gate-50", "pass"),
    ]
    counts = verdicts(done)[0]
    assert 0 < counts["new"]["requests"] < counts["old"]["requests"]
    crowd.__exit__(None, None, None)
    assert crowd.failures == []
    assert {tuple(releases) for releases in crowd.served.values()} <= {(first, second), (second,), (first,)}


def test_a_release_that_fails_one_request_in_ten_is_taken_back_at_the_first_share(
    project: Project, first: str, crowd: Crowd
) -> None:
    second = project.build("2.1.0", fail=0.1)
    done = project.inv("deploy", f"--release={second}", *CANARY, "--json", expect=6)
    assert [(verdict["step"], verdict["outcome"]) for verdict in verdicts(done)] == [("gate-10", "fail")]
    assert "the new slot fails" in done.err
    assert serving(project) == {first}
    kept = project.lab.execute("h1", "cat", "/var/app/small/.turnout/verdicts.jsonl").splitlines()
    assert json.loads(kept[-1])["outcome"] == "fail"
    assert "marked bad" in project.inv("rollback", f"--to={second}", expect=5).err


def test_a_release_that_is_three_times_slower_is_taken_back(project: Project, crowd: Crowd) -> None:
    steady = project.build("1.1.0", delay=40)
    project.inv("deploy", f"--release={steady}")
    second = project.build("2.2.0", delay=120)
    done = project.inv("deploy", f"--release={second}", *CANARY, "--json", expect=6)
    assert [(verdict["step"], verdict["outcome"]) for verdict in verdicts(done)] == [("gate-10", "fail")]
    assert "times as slow" in done.err
    assert serving(project) == {steady}


def test_a_few_errors_are_not_held_against_a_release(project: Project, first: str, crowd: Crowd) -> None:
    second = project.build("2.3.0", fail=0.0004)
    project.inv("deploy", f"--release={second}", *CANARY)
    assert serving(project) == {second}


def test_a_release_that_dies_under_traffic_is_taken_back_though_nobody_saw_an_error(
    project: Project, first: str, crowd: Crowd
) -> None:
    second = project.build("2.4.0", dies=30)
    done = project.inv("deploy", f"--release={second}", *CANARY, "--json", expect=6)
    assert "restarted" in done.err or "probes" in done.err or "fails" in done.err
    assert serving(project) == {first}


def test_without_traffic_the_canary_is_held_and_moved_on_by_hand(project: Project, first: str) -> None:
    second = project.build("2.5.0")
    address = project.lab.address("h1")
    held = project.inv("deploy", f"--release={second}", CANARY[0], "--step=3s", expect=8)
    assert "too few requests" in held.err
    assert "inv canary.set" in held.err
    assert ask(address, "turnout=canary") == second
    assert ask(address, "turnout=stable") == first
    assert "10 %" in project.inv("canary.status").out
    assert "being held" in project.inv("status").err
    assert "too few requests" in project.inv("deploy.resume", expect=8).err
    assert ask(address, "turnout=canary") == second
    project.inv("canary.set", "25")
    assert "25 %" in project.inv("canary.status").out
    project.inv("canary.set", "100")
    assert serving(project) == {second}
    assert ask(address, "turnout=stable") == second
    assert "no canary" in project.inv("canary.status").out


def test_a_canary_can_be_ended_by_hand(project: Project, first: str) -> None:
    second = project.build("2.6.0")
    project.inv("deploy", f"--release={second}", "--canary=30", "--step=2s", expect=8)
    assert "30 %" in project.inv("canary.status").out
    project.inv("canary.stop")
    assert serving(project) == {first}
    assert ask(project.lab.address("h1"), "turnout=canary") == first
    assert "no run was left unfinished" in project.inv("canary.stop", expect=3).err


def test_the_gate_reads_on_when_the_log_is_rotated(project: Project, first: str, crowd: Crowd) -> None:
    second = project.build("2.7.0", fail=0.3)
    process = project.start("deploy", f"--release={second}", *CANARY, "--json")
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("step") == "gate-10":
            break
    for host in project.lab.hosts:
        log = "/var/log/nginx/small.access.json"
        project.lab.execute(host, "bash", "-c", f"mv {log} {log}.1; kill -USR1 $(cat /run/nginx.pid)")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 6, out + err
    assert serving(project) == {first}
