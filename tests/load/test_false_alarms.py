"""Canaries of a release that is no other than the old one, under noise: none is taken back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.crowd import COOKIE, Crowd
from tests.e2e.project import Project

pytestmark = pytest.mark.lab

NOISY: dict[str, Any] = {"fail": 0.01, "delay": 5, "jitter": 200}
"""One answer in a hundred is an error; half of them take up to 18 ms, one in twenty more than 168 ms."""
GATES = {"min_requests": 60, "interval": "1s", "on_inconclusive": "promote"}


@pytest.mark.timeout(3600)
def test_no_identical_release_is_taken_back(
    project: Project, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    deploys = -(-3 * request.config.getoption("--rounds") // 2)
    project.configure(site={"client_cookie": COOKIE}, gates=GATES)
    project.inv("deploy", f"--release={project.build('1.0.0', **NOISY)}")
    outcomes: list[str] = []
    with Crowd([project.lab.address(host) for host in project.lab.hosts]) as crowd:
        for turn in range(deploys):
            release = project.build(f"2.0.{turn}", **NOISY)
            done = project.inv("deploy", f"--release={release}", "--canary=20,60,100", "--step=5s", "--json")
            events = [json.loads(line) for line in done.out.splitlines()]
            outcomes += [event["verdict"]["outcome"] for event in events if event.get("event") == "judged"]
    with capsys.disabled():
        print(f"\n{deploys} canaries of an identical release: {outcomes.count('pass')} of {len(outcomes)} gates passed")
    assert crowd.failures == []
    assert len(outcomes) == 2 * deploys
    # What was never judged can raise no alarm.
    assert outcomes.count("pass") > len(outcomes) // 2
