"""A release is tested before it gets traffic and where users are; what fails gives all back, and no secret shows."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.project import Done, Project
from tests.e2e.unchanged import unchanged
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab

TOKEN = "tok-5f2a9c71"
RELEASE = {"path": "$.release", "equals": "{release}"}
LOG_IN = {"method": "POST", "path": "/log-in", "body": {"password": "{password}"}, "capture": {"token": "$.token"}}
ME = {"path": "/me", "headers": {"Authorization": "Bearer {token}"}, "expect": {"json": [RELEASE]}}
SAY = 'curl -fsS "$TURNOUT_URL/" && echo " $TURNOUT_ENV $TURNOUT_RUN"'


@pytest.fixture(autouse=True)
def settings(project: Project) -> Iterator[None]:
    """Each test leaves an environment without tests."""
    project.environment["SMOKE_PASSWORD"] = "hunter22"
    project.configure()
    yield
    project.configure()


def ask_for(project: Project, **kinds: Any) -> None:
    """Have the environment ask this of every release, with the first host as its public address."""
    url = f"http://{project.lab.address('h1')}"
    project.configure(smoke={"url": url, "secrets": {"password": "env:SMOKE_PASSWORD"}, **kinds})


def verdicts(done: Done) -> dict[str, Any]:
    """By step, as they were told."""
    events = [json.loads(line) for line in done.out.splitlines()]
    return {event["step"]: event["verdict"] for event in events if event.get("event") == "judged"}


def kept(project: Project, host: str) -> list[Any]:
    """The newest verdicts that a host keeps."""
    lines = project.lab.execute(host, "cat", "/var/app/small/.turnout/verdicts.jsonl").splitlines()
    return [json.loads(line) for line in lines]


def serving(project: Project) -> set[str | None]:
    return {release for _, release in project.live().values()}


def test_a_good_release_passes_every_kind_of_test_before_and_after_the_switch(
    project: Project, first: str, visitor: Visitor
) -> None:
    ask_for(
        project,
        http={"log-in": LOG_IN, "me": ME},
        websocket={"live": {"path": "/live", "expect": "^{release}$"}},
        tcp={"own": {}, "sshd": {"port": 22, "expect": "^SSH-2"}},
        sql={"sum": {"query": "SELECT 1 + 1, 'x'", "rows": [[2, "x"]]}, "true": {"query": "SELECT true"}},
        command={
            "here": {"command": ["sh", "-c", SAY], "output": "release.* test 20"},
            "there": {"command": ["sh", "-c", SAY], "on": "first", "output": "release.* test 20"},
        },
    )
    second = project.build("2.0.0", token=TOKEN)
    shown = project.inv("plan", f"--release={second}", expect=2).out
    assert "# me: http GET /me, 200, after log-in" in shown
    with visitor:
        done = project.inv("deploy", f"--release={second}", "--json")
    assert visitor.failures == []
    assert serving(project) == {second}
    found = verdicts(done)
    assert [found[step]["sentence"] for step in ("smoke-idle", "smoke-live")] == [
        "14 smoke tests passed",
        "9 smoke tests passed",
    ]
    assert {one["where"] for one in found["smoke-idle"]["tests"]} == {"h1", "h2", "the database", "this machine"}
    for host in project.lab.hosts:
        assert kept(project, host)[-2:] == [found["smoke-idle"], found["smoke-live"]]
    everything = done.text + shown + json.dumps(kept(project, "h1"))
    assert TOKEN not in everything
    assert "hunter22" not in everything


def test_a_release_that_fails_before_the_switch_never_gets_traffic(
    project: Project, first: str, visitor: Visitor
) -> None:
    ask_for(project, http={"log-in": LOG_IN, "me": {**ME, "retry": 1, "pause": "100ms"}})
    second = project.build("2.1.0")
    with visitor, unchanged(project):
        failed = project.inv("deploy", f"--release={second}", "--json", expect=6)
    assert visitor.failures == []
    assert set(visitor.answers) == {first}
    assert "4 smoke tests failed" in failed.err
    assert "$.token holds no text or number to capture" in failed.err
    assert "not run, because log-in did not pass" in failed.err
    assert "smoke-live" not in failed.text
    assert [verdict["outcome"] for verdict in kept(project, "h2")[-1:]] == ["fail"]
    assert "marked bad" in project.inv("rollback", f"--to={second}", expect=5).err


def test_a_release_that_fails_where_users_are_gives_them_the_former_one_back(
    project: Project, first: str, visitor: Visitor
) -> None:
    wrong = {"path": "/", "at": ["live"], "expect": {"json": [{"path": "$.release", "equals": "another"}]}}
    ask_for(project, http={"right": {"path": "/", "expect": {"json": [RELEASE]}}, "wrong": wrong})
    second = project.build("2.2.0")
    with visitor, unchanged(project):
        failed = project.inv("deploy", f"--release={second}", "--json", expect=6)
    assert visitor.failures == []
    assert set(visitor.answers) == {first, second}
    assert verdicts(failed)["smoke-idle"]["outcome"] == "pass"
    assert verdicts(failed)["smoke-live"]["sentence"].startswith("1 of 2 smoke tests failed: wrong on http://")
    assert serving(project) == {first}


def test_ctrl_c_during_a_test_undoes_the_run_at_once(project: Project, first: str) -> None:
    ask_for(project, command={"slow": {"command": ["sleep", "200"], "timeout": "3m", "on": "first"}}, timeout="4m")
    second = project.build("2.3.0")
    with unchanged(project):
        process = project.start("deploy", f"--release={second}", "--json")
        _wait_for(process, "smoke-idle")
        begun = "until pgrep -fx 'sleep 200' > /dev/null; do sleep 0.05; done"
        project.lab.execute("h1", "timeout", "30", "bash", "-c", begun)
        done = project.interrupt(process)
    assert done.code == 130, done.text
    assert project.lab.execute("h1", "bash", "-c", "pgrep -fx 'sleep 200' || true").strip() == ""


def test_what_a_dead_operator_left_amid_the_tests_is_undone_by_another(project: Project, first: str) -> None:
    ask_for(project, command={"slow": {"command": ["sleep", "60"], "at": ["live"], "timeout": "2m"}}, timeout="2m")
    second = project.build("2.4.0")
    process = project.start("deploy", f"--release={second}", "--json")
    _wait_for(process, "smoke-live")
    done = project.interrupt(process, signal.SIGKILL)
    assert done.code == -signal.SIGKILL
    project.configure()
    project.inv("deploy.abort", "--lock-wait=30s")
    assert serving(project) == {first}


def test_tests_run_by_hand_on_what_is_live_and_on_a_canary(project: Project, first: str) -> None:
    assert "has no smoke tests for live" in project.inv("smoke", expect=3).err
    ask_for(project, http={"page": {"path": "/", "expect": {"json": [RELEASE]}}})
    done = project.inv("smoke", "--json")
    assert (done.document["release"], done.document["outcome"]) == (first, "pass")
    assert [one["where"] for one in done.document["tests"]] == [f"http://{project.lab.address('h1')}"]
    assert "nothing runs in its idle slot" in project.inv("smoke", "--slot=idle", expect=5).err
    assert "neither live nor idle" in project.inv("smoke", "--slot=blue", expect=3).err
    second = project.build("2.5.0")
    project.inv("deploy", f"--release={second}", "--canary=10", "--step=2s", expect=8)
    try:
        idle = project.inv("smoke", "--slot=idle", "--json").document
        assert (idle["release"], [one["where"] for one in idle["tests"]]) == (second, ["h1", "h2"])
        ask_for(project, http={"page": {"path": "/", "expect": {"status": 418}}})
        failed = project.inv("smoke", "--slot=idle", expect=1)
        assert "2 of 2 smoke tests failed: page on h1, page on h2" in failed.err
        assert "status 200, not 418" in failed.out
    finally:
        project.inv("canary.stop")


def _wait_for(process: Any, step: str) -> None:
    for line in process.stdout:
        if json.loads(line).get("step") == step:
            return
    raise AssertionError(f"{step} never came: {process.stderr.read()}")
