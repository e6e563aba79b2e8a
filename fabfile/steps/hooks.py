"""The team's own commands at named points of a run. They are not undone: what they did stays."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fabfile.commands.hook import hook as remote
from fabfile.config.nesting import RUN
from fabfile.config.schema import Environment, Hook
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.engine.step import HostStep, OperatorStep, Step
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.hook import AFTERMATH, Point
from fabfile.model.paths import Paths
from fabfile.model.script import Result
from fabfile.remote import local_command

TOLD = 5
"""Lines of a command's output that are told when it went well."""


@dataclass(frozen=True)
class Occasion:
    """The run that hooks belong to: what they are told of it, and where they run.

    `environ` is what commands on this machine inherit, `project` where they run.
    """

    environment: Environment
    name: str
    run: str
    verb: str
    release: str
    previous: str | None
    app_hosts: tuple[str, ...]
    web_hosts: tuple[str, ...]
    project: Path
    environ: Mapping[str, str]

    def variables(self, point: Point) -> dict[str, str]:
        """What every hook is told."""
        return {
            RUN: self.run,
            "TURNOUT_ENV": self.name,
            "TURNOUT_VERB": self.verb,
            "TURNOUT_POINT": point,
            "TURNOUT_RELEASE": self.release,
            "TURNOUT_PREVIOUS": self.previous or "",
        }


def hooks(point: Point, occasion: Occasion) -> list[Step]:
    """The commands at `point`, in the order of the environment's file, as steps with nothing to take back."""
    steps: list[Step] = []
    for number, hook in enumerate(occasion.environment.hooks.at(point), 1):
        name = point if number == 1 else f"{point}.{number}"
        if hook.on == "operator":
            steps.append(_here(name, point, hook, occasion))
        elif hosts := _hosts(hook, occasion):
            steps.append(_there(name, point, hook, hosts, occasion))
    return steps


def _hosts(hook: Hook, occasion: Occasion) -> tuple[str, ...]:
    if hook.on == "first":
        return occasion.app_hosts[:1]
    return occasion.web_hosts if hook.on == "web" else occasion.app_hosts


def _there(name: str, point: Point, hook: Hook, hosts: tuple[str, ...], occasion: Occasion) -> HostStep:
    paths = Paths(occasion.environment.app)
    script = remote(paths, point, hook.command, occasion.variables(point), hook.timeout)
    return HostStep(name, _title(hook), dict.fromkeys(hosts, script), report=_last_lines)


def _here(name: str, point: Point, hook: Hook, occasion: Occasion) -> OperatorStep:
    def work(run: Run) -> None:
        environ = {**occasion.environ, **occasion.variables(point)}
        try:
            ended = local_command.run(hook.command, occasion.project, hook.timeout, environ)
        except BadInput as error:
            raise TurnoutError(f"hook {point}: {error.fact}", error.hint) from error
        if ended.failed:
            raise TurnoutError(
                f"hook {point} {ended.how}: {shlex.join(hook.command)}",
                f"type it here to see why, or change hooks.{point} in hosts/{occasion.name}.yml",
                ended.lines,
            )
        for line in ended.lines[-TOLD:]:
            run.emit(Note(line))

    # A team wants to hear of a failure most of all when hosts cannot be reached: then none of them is asked first.
    hosts = () if point in AFTERMATH else occasion.app_hosts
    return OperatorStep(name, f"{_title(hook)} on this machine", hosts, work)


def _title(hook: Hook) -> str:
    return f"run {shlex.join(hook.command)} (not taken back)"


def _last_lines(results: Mapping[str, Result]) -> list[str]:
    return [f"{host}: {line}" for host, result in results.items() for line in result.stdout.splitlines()[-TOLD:]]
