"""One run: who does what on which hosts under which tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabfile.commands.lease import guarded
from fabfile.engine.events import Emit
from fabfile.model.paths import Paths
from fabfile.model.script import Result, Script
from fabfile.remote.fleet import Fleet


@dataclass(frozen=True)
class Run:
    """The context of every step. `tokens` are the fencing tokens of the held lease, by host."""

    id: str
    verb: str
    fleet: Fleet
    paths: Paths
    tokens: Mapping[str, int]
    emit: Emit

    def on_hosts(self, step: str, scripts: Mapping[str, Script], undo: bool = False) -> dict[str, Result]:
        """Run one script per host at the same time, each journalled and refused under an old token."""
        return self.fleet.each(
            scripts,
            lambda host: host.run(
                guarded(scripts[host.name], self.paths, self.id, self.verb, step, self.tokens[host.name], undo)
            ),
        )
