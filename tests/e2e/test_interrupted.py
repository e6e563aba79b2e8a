"""A run that dies, wherever, leaves hosts that serve; any machine finishes it or takes it back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.e2e.project import Project
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


def killed_at(project: Project, step: str, *words: str, event: str = "step-started") -> None:
    """Run a command and end it by SIGKILL when it says that a step began (or ended)."""
    process = project.start(*words, "--json")
    assert process.stdout
    for line in process.stdout:
        seen = json.loads(line)
        if (seen.get("event"), seen.get("step")) == (event, step):
            os.kill(process.pid, signal.SIGKILL)
            break
    else:
        raise AssertionError(f"{step} was never begun: {process.communicate()}")
    process.communicate()


def wait_until(true: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.3)


def serving(project: Project) -> set[str | None]:
    return {release for _, release in project.live().values()}


@pytest.fixture(autouse=True)
def impatient(project: Project) -> None:
    """Hosts that are not told to stay take their traffic back soon."""
    project.configure(release={"shared": ["uploads"], "drain_timeout": "5s", "confirm_timeout": "4s"})


def test_a_deploy_that_died_is_explained_refuses_others_and_is_resumed(
    project: Project, first: str, visitor: Visitor
) -> None:
    second = project.build("2.0.0")
    with visitor:
        killed_at(project, "prove", "deploy", f"--release={second}")
        seen = project.inv("status")
        assert f"deploy of {second} by" in seen.err
        assert "stopped at" in seen.err
        assert f"users get {first}" in seen.err
        assert "inv deploy.abort" in project.inv("deploy", f"--release={second}", expect=5).err
        assert "inv deploy.resume" in project.inv("rollback", expect=5).err
        project.inv("deploy.resume")
        assert serving(project) == {second}
    assert visitor.failures == []
    assert "no run was left unfinished" in project.inv("deploy.resume", expect=3).err


def test_a_deploy_that_died_is_taken_back(project: Project, first: str) -> None:
    second = project.build("2.1.0")
    before = project.live()
    killed_at(project, "switch", "deploy", f"--release={second}")
    assert "all is as it was" in project.inv("deploy.abort").out
    assert project.live() == before
    document = project.inv("status", "--json").document
    assert all(second not in seen["releases"] for seen in document.values())
    assert "nothing to do" in project.inv("deploy", f"--release={first}").out


def test_hosts_that_switched_for_a_dead_operator_go_back_by_themselves(
    project: Project, first: str, visitor: Visitor
) -> None:
    second = project.build("2.2.0")
    with visitor:
        killed_at(project, "switch", "deploy", f"--release={second}", event="step-done")
        wait_until(lambda: serving(project) == {first})
        seen = project.inv("status")
        assert "took the traffic back by itself" in seen.err
        project.inv("deploy.resume")
        assert serving(project) == {second}
    assert visitor.failures == []


def test_a_host_that_lets_nobody_in_any_more_goes_back(project: Project, first: str) -> None:
    second = project.build("2.3.0")
    before = project.live()
    process = project.start("deploy", f"--release={second}", "--json")
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("step") == "prove":
            # The connections that are open stay; new ones are refused.
            project.lab.execute("h1", "systemctl", "stop", "ssh.socket", "ssh.service")
            break
    out, err = process.communicate(timeout=120)
    project.lab.execute("h1", "systemctl", "start", "ssh.service")
    assert process.returncode in (6, 7), out + err
    wait_until(lambda: project.live() == before)
    if process.returncode == 7:
        project.inv("deploy.abort")
    assert project.live() == before


def test_a_host_that_loses_power_on_trial_goes_back_at_boot(project: Project, first: str) -> None:
    second = project.build("2.4.0")
    project.configure(release={"shared": ["uploads"], "drain_timeout": "5s", "confirm_timeout": "10m"})
    killed_at(project, "switch", "deploy", f"--release={second}", event="step-done")
    project.lab.kill("h1")
    project.lab.start("h1")
    wait_until(lambda: project.live()["h1"][1] == first)
    assert project.live()["h2"][1] == second
    project.inv("deploy.abort")
    assert serving(project) == {first}


def test_the_lock_of_a_process_that_died_on_this_machine_is_taken_at_once(project: Project, first: str) -> None:
    second = project.build("2.5.0")
    killed_at(project, "unpack", "deploy", f"--release={second}")
    began = time.monotonic()
    project.inv("deploy.abort")
    assert time.monotonic() - began < 60  # its lease alone would have lasted two minutes


def test_a_step_of_an_older_operator_is_refused_by_the_host(project: Project, first: str) -> None:
    """Somebody breaks the lock of a deploy that lives: its next step does not run."""
    second = project.build("2.6.0")
    process = project.start("deploy", f"--release={second}", "--json")
    assert process.stdout
    for line in process.stdout:
        if json.loads(line).get("step") == "start":
            project.inv("lock.release", "--yes")
            break
    try:
        out, err = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 7, out + err
    assert "lease was lost" in out + err
    assert serving(project) == {first}
    project.inv("deploy.abort")
    assert serving(project) == {first}
