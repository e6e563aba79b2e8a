"""Hooks as steps of a run: where each runs, what it is told, and what becomes of one that fails."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest

from fabfile.config.schema import Environment, Hooks
from fabfile.engine.events import Event, Note
from fabfile.engine.run import Run
from fabfile.engine.runner import Aftermath, carry_out, follow_up
from fabfile.engine.step import Step
from fabfile.errors import RemoteError, RolledBack, TurnoutError
from fabfile.model.hook import AFTERMATH, Point
from fabfile.model.paths import Paths
from fabfile.model.script import Result, Script
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.steps.hooks import Occasion, hooks


@dataclass
class Recording:
    """A host that writes down what it is asked to run; with `fact` every script fails."""

    name: str
    fact: str = ""
    scripts: list[str] = field(default_factory=list)

    def run(self, script: Script, stdin: object = None) -> Result:
        self.scripts.append(script.text)
        if self.fact:
            raise RemoteError(self.name, self.fact)
        return Result("told\n", "", 0.0)


class World:
    """Two hosts, a project, and an environment with these hooks."""

    def __init__(self, project: Path, fact: str = "", **points: list[dict[str, Any]]) -> None:
        self.hosts = {name: Recording(name, fact) for name in ("h1", "h2")}
        self.events: list[Event] = []
        written = {name.replace("_", "-"): found for name, found in points.items()}
        environment = Environment.model_validate(
            {"app": "shop", "hosts": {"h1": {}, "h2": {}, "db": {"roles": ["db"]}}, "hooks": written}
        )
        both = environment.app_hosts
        self.occasion = Occasion(
            environment, "demo", "r1", "deploy", "2.0-abc", None, both, both, project, dict(os.environ)
        )
        fleet = Fleet(self.hosts)  # type: ignore[arg-type]
        self.run = Run("r1", "deploy", fleet, Paths("shop"), {"h1": 1, "h2": 1}, self.events.append, LocalHost)

    def hooks(self, point: Point) -> list[Step]:
        return hooks(point, self.occasion)

    @property
    def notes(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Note)]


def test_every_point_can_be_configured() -> None:
    keys = [field.alias for field in Hooks.model_fields.values()]
    assert keys == list(get_args(Point))
    assert set(get_args(Point)) >= AFTERMATH
    assert all(Hooks().at(point) == () for point in get_args(Point))


def test_several_commands_at_a_point_have_names_of_their_own(tmp_path: Path) -> None:
    world = World(tmp_path, pre_deploy=[{"command": ["a"]}, {"command": ["b"], "on": "app"}, {"command": ["c"]}])
    assert [step.name for step in world.hooks("pre-deploy")] == ["pre-deploy", "pre-deploy.2", "pre-deploy.3"]
    assert world.hooks("pre-switch") == []


@pytest.mark.parametrize(("on", "hosts"), [("first", ("h1",)), ("app", ("h1", "h2")), ("web", ("h1", "h2"))])
def test_a_command_goes_to_the_hosts_it_is_for(tmp_path: Path, on: str, hosts: tuple[str, ...]) -> None:
    world = World(tmp_path, pre_switch=[{"command": ["flush", "all of it"], "on": on}])
    [step] = world.hooks("pre-switch")
    assert step.hosts == hosts
    assert "command=(flush 'all of it')\n" in step.preview("h1")
    assert "TURNOUT_RELEASE=2.0-abc TURNOUT_PREVIOUS=" in step.preview("h1")
    step.do(world.run)
    assert [name for name, host in world.hosts.items() if host.scripts] == list(hosts)
    assert world.notes == [f"{name}: told" for name in hosts]


def test_a_command_here_is_told_about_the_run_and_its_last_lines_are_noted(tmp_path: Path) -> None:
    say = (
        "seq 20; pwd; echo $TURNOUT_RUN $TURNOUT_ENV $TURNOUT_VERB $TURNOUT_POINT $TURNOUT_RELEASE [$TURNOUT_PREVIOUS]"
    )
    world = World(tmp_path, pre_deploy=[{"command": ["sh", "-c", say]}])
    [step] = world.hooks("pre-deploy")
    step.do(world.run)
    assert world.notes == ["18", "19", "20", str(tmp_path), "r1 demo deploy pre-deploy 2.0-abc []"]
    assert all(len(host.scripts) == 2 for host in world.hosts.values()), "journalled before and after on every host"


def test_it_is_said_that_hooks_are_not_taken_back(tmp_path: Path) -> None:
    world = World(tmp_path, pre_deploy=[{"command": ["a"]}, {"command": ["b"], "on": "app"}])
    assert all("not taken back" in step.title for step in world.hooks("pre-deploy"))


def test_a_failing_command_undoes_the_run_and_names_point_command_and_words(tmp_path: Path) -> None:
    world = World(tmp_path, pre_switch=[{"command": ["sh", "-c", "echo no quota; exit 3"]}])
    with pytest.raises(RolledBack) as caught:
        carry_out(world.hooks("pre-switch"), [], world.run, Aftermath(list))
    assert "hook pre-switch ended with status 3: sh -c 'echo no quota; exit 3'" in caught.value.fact
    assert "hooks.pre-switch in hosts/demo.yml" in caught.value.hint
    assert caught.value.details[0] == "no quota"


def test_a_missing_program_and_a_time_out_name_the_point(tmp_path: Path) -> None:
    slow = {"command": ["sleep", "300"], "timeout": "200ms"}
    world = World(tmp_path, pre_deploy=[{"command": ["no-such-program"]}, slow])
    for step, said in zip(world.hooks("pre-deploy"), ["cannot run `no-such-program`", "within 0.2 s"], strict=True):
        with pytest.raises(TurnoutError, match="hook pre-deploy") as caught:
            step.do(world.run)
        assert said in caught.value.fact


def test_an_aftermath_that_fails_is_told_and_the_next_command_follows(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        post_deploy=[{"command": ["sh", "-c", "echo no quota; exit 3"]}, {"command": ["touch", "reached"]}],
    )
    follow_up(world.hooks("post-deploy"), world.run)
    assert (tmp_path / "reached").exists()
    assert "post-deploy failed, the outcome of deploy stands: hook post-deploy ended with status 3" in world.notes[0]
    assert world.notes[1] == "no quota"


def test_a_failed_run_is_told_from_here_though_no_host_answers(tmp_path: Path) -> None:
    away = {"command": ["true"], "on": "app"}
    world = World(tmp_path, "no connection", deploy_failed=[away, {"command": ["touch", "told"]}])
    follow_up(world.hooks("deploy-failed"), world.run)
    assert (tmp_path / "told").exists()
    assert "no connection" in world.notes[0]


def test_ctrl_c_in_the_aftermath_ends_it_and_changes_nothing(tmp_path: Path) -> None:
    world = World(
        tmp_path, post_deploy=[{"command": ["sh", "-c", "kill -INT $PPID; sleep 300"]}, {"command": ["touch", "x"]}]
    )
    follow_up(world.hooks("post-deploy"), world.run)
    assert world.notes == ["post-deploy was interrupted; the outcome of deploy stands"]
    assert not (tmp_path / "x").exists()
