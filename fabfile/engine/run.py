"""One run: who does what on which hosts under which tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fabfile.commands.lease import DO, UNDO, guarded
from fabfile.engine.events import Emit
from fabfile.errors import FleetError, RemoteError
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
    stuck: set[str] = field(default_factory=set)
    """Hosts on which undoing a step failed: what was done before it must not be undone there either."""

    def on_hosts(self, step: str, scripts: Mapping[str, Script], events: tuple[str, str] = DO) -> dict[str, Result]:
        """Run one script per host at the same time, each journalled and refused under an old token."""
        return self.fleet.each(scripts, lambda host: host.run(self._guarded(host, step, scripts, events)))

    def undo(self, step: str, scripts: Mapping[str, Script]) -> None:
        """As `on_hosts`, to take a step back. A host that fails is left as it is from then on: steps build on one
        another, and the new release must not be stopped where its traffic could not be taken back."""
        try:
            self.on_hosts(step, {name: script for name, script in scripts.items() if name not in self.stuck}, UNDO)
        except FleetError as error:
            self.stuck.update(failure.host for failure in error.failures if isinstance(failure, RemoteError))
            raise

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
