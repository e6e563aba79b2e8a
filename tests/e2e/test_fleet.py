"""Many hosts: one that is missing catches up, some of them are chosen, and nginx may be elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def usual(project: Project) -> None:
    project.configure()


def serving(project: Project) -> set[str | None]:
    return {release for _, release in project.live().values()}


def test_a_host_that_is_down_is_left_out_when_asked_and_catches_up(
    project: Project, first: str, visitor: Visitor
) -> None:
    second = project.build("2.0.0")
    project.lab.cut("h2")
    try:
        refused = project.inv("deploy", f"--release={second}", expect=1)
        assert "h2" in refused.err
        assert "--allow-missing" in refused.err
        done = project.inv("deploy", f"--release={second}", "--allow-missing=1", "--json")
        assert done.document["missing"] == ["h2"]
    finally:
        project.lab.heal("h2")
    assert {host: release for host, (_, release) in project.live().items()} == {"h1": second, "h2": first}
    built = project.folder / "dist" / f"{second}.tar.zst"
    kept = built.rename(project.folder / "elsewhere.tar.zst")
    with visitor:
        project.inv("deploy.catch-up")
    kept.rename(built)
    assert visitor.failures == []
    assert serving(project) == {second}
    assert "nothing to do" in project.inv("deploy.catch-up").out


def test_only_the_hosts_that_were_chosen_are_deployed_to(project: Project, first: str) -> None:
    second = project.build("2.1.0")
    project.inv("deploy", f"--release={second}", "--limit=h1")
    assert {host: release for host, (_, release) in project.live().items()} == {"h1": second, "h2": first}
    assert "takes no part" in project.inv("deploy", f"--release={second}", "--limit=h9", expect=3).err
    project.inv("deploy.catch-up")
    assert serving(project) == {second}


def test_traffic_moves_on_one_host_at_a_time(project: Project, first: str, visitor: Visitor) -> None:
    second = project.build("2.2.0")
    with visitor:
        done = project.inv("deploy", f"--release={second}", "--serial=1", "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    moved = [(e["step"], e["hosts"]) for e in events if e.get("event") == "step-started" and "switch" in e["step"]]
    assert moved == [("switch.1", ["h1"]), ("switch.2", ["h2"])]
    assert visitor.failures == []
    assert serving(project) == {second}


def test_a_rollback_goes_to_any_release_that_is_kept_and_to_none_that_failed(project: Project, first: str) -> None:
    second, third = project.build("2.3.0"), project.build("2.4.0")
    project.inv("deploy", f"--release={second}")
    project.inv("deploy", f"--release={third}")
    assert "no host keeps release" in project.inv("rollback", "--to=nonsense", expect=3).err
    done = project.inv("rollback", f"--to={first}", "--json")
    assert "upload" not in {json.loads(line).get("step") for line in done.out.splitlines()}
    assert serving(project) == {first}
    refused = project.inv("rollback", expect=5).err
    assert f"{third} in the" in refused
    assert "marked bad" in refused
    assert "marked bad" in project.inv("rollback", f"--to={third}", expect=5).err
    project.inv("deploy", f"--release={third}")
    project.inv("deploy", f"--release={first}")
    project.inv("rollback")
    assert serving(project) == {third}


def test_the_teams_own_commands_run_at_their_points(project: Project, first: str) -> None:
    def hook(*words: str, **more: Any) -> dict[str, Any]:
        return {"command": list(words), **more}

    write = hook("sh", "-c", "echo $TURNOUT_POINT $TURNOUT_RELEASE $TURNOUT_PREVIOUS >> hooks.log")
    nested = hook("sh", "-c", f"! {sys.executable} -m invoke deploy --lock-wait=10m 2> nested.log", timeout="30s")
    points = {point: [write] for point in ("pre-deploy", "pre-switch", "post-switch", "post-deploy", "deploy-failed")}
    second = project.build("2.5.0")
    project.configure(hooks={**points, "pre-switch": [write, nested], "post-deploy": [write, hook("false")]})
    done = project.inv("deploy", f"--release={second}")
    log = project.folder / "hooks.log"
    expected = [f"{point} {second} {first}" for point in ("pre-deploy", "pre-switch", "post-switch", "post-deploy")]
    assert log.read_text().splitlines() == expected
    assert "which holds the lock" in (project.folder / "nested.log").read_text()
    assert "the outcome of deploy stands" in done.err
    log.unlink()
    third = project.build("2.6.0")
    project.configure(hooks={**points, "post-switch": [hook("sleep", "600", on="web", timeout="2s")]})
    failed = project.inv("deploy", f"--release={third}", expect=6)
    assert "post-switch" in failed.err
    assert log.read_text().splitlines()[-1] == f"deploy-failed {third} {second}"
    assert serving(project) == {second}
    assert project.lab.execute("h1", "bash", "-c", "pgrep -fc '[s]leep 600' || true").strip() == "0"


@pytest.fixture
def apart(project: Project) -> Iterator[Project]:
    """nginx on h1, the application on h1 and h2."""
    project.wipe()
    lab = project.lab
    project.configure(
        hosts={
            "h1": {"roles": ["web", "app"], "internal": lab.address("h1")},
            "h2": {"roles": ["app"], "internal": lab.address("h2")},
            "db": {"roles": ["db"]},
        }
    )
    yield project
    project.wipe()


def test_nginx_on_one_host_sends_to_the_application_on_two(apart: Project) -> None:
    first, second = apart.build("3.0.0"), apart.build("3.1.0")
    apart.inv("deploy", f"--release={first}")
    site = apart.lab.execute("h1", "cat", "/etc/nginx/turnout/small.conf")
    for host in ("h1", "h2"):
        assert f"server {apart.lab.address(host)}:3001;" in site
    users = Visitor([apart.lab.address("h1")])
    with users:
        apart.inv("deploy", f"--release={second}")
        assert serving(apart) == {second}
        apart.inv("rollback")
        assert serving(apart) == {first}
    assert users.failures == []
    assert users.answers[first] > 10
    assert users.answers[second] > 10
    assert "nothing to do" in apart.inv("deploy", f"--release={first}").out


def test_a_host_of_the_application_that_was_away_is_asked_again_once_it_caught_up(apart: Project) -> None:
    first, second = apart.build("3.2.0"), apart.build("3.3.0")
    apart.inv("deploy", f"--release={first}")
    apart.lab.cut("h2")
    try:
        apart.inv("deploy", f"--release={second}", "--allow-missing=1")
    finally:
        apart.lab.heal("h2")
    assert apart.lab.address("h2") not in apart.lab.execute("h1", "cat", "/etc/nginx/turnout/small.conf")
    apart.inv("deploy.catch-up")
    assert apart.lab.address("h2") in apart.lab.execute("h1", "cat", "/etc/nginx/turnout/small.conf")
    assert serving(apart) == {second}
