"""One run: who does what on which hosts under which tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fabfile.commands.lease import DO, guarded
from fabfile.engine.events import Emit
from fabfile.model.paths import Paths
from fabfile.model.script import Result, Script
from fabfile.remote.fleet import Fleet
from fabfile.remote.port import Host


@dataclass(frozen=True)
class Run:
    """The context of every step. `tokens` are the fencing tokens of the held lease, by host."""

    id: str
    verb: str
    fleet: Fleet
    paths: Paths
    tokens: Mapping[str, int]
    emit: Emit
    connect: Callable[[str], Host]
    """A new connection to a host, beside the one that the run works over."""

    def on_hosts(self, step: str, scripts: Mapping[str, Script], events: tuple[str, str] = DO) -> dict[str, Result]:
        """Run one script per host at the same time, each journalled and refused under an old token."""
        return self.fleet.each(scripts, lambda host: host.run(self._guarded(host, step, scripts, events)))

    def anew(self, step: str, scripts: Mapping[str, Script]) -> None:
        """As `on_hosts`, but over new connections: proof that the hosts still let us in."""

        def over_a_new_one(host: Host) -> None:
            fresh = self.connect(host.name)
            try:
                fresh.run(self._guarded(host, step, scripts))
            finally:
                fresh.close()

        self.fleet.each(scripts, over_a_new_one)

    def together(self, step: str, scripts: Mapping[str, Script], ready: bytes, go: bytes, done: bytes) -> float:
        """As `on_hosts`, in two phases: see Fleet.together."""
        hosts = {name: self._guarded(self.fleet[name], step, scripts) for name in scripts}
        return self.fleet.together(hosts, ready, go, done)

    def _guarded(self, host: Host, step: str, scripts: Mapping[str, Script], events: tuple[str, str] = DO) -> Script:
        return guarded(scripts[host.name], self.paths, self.id, self.verb, step, self.tokens[host.name], events)
