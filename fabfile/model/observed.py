"""What one look at a host found: slots, processes, nginx, disk, lease and the last run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fabfile.model.restore import Restore

Slot = Literal["blue", "green"]
SLOTS: tuple[Slot, Slot] = ("blue", "green")
BY_HAND = "manual-"
"""How the run id of a lease begins that somebody took by hand: nobody keeps it alive, it just ends."""


def other(slot: Slot) -> Slot:
    """The slot that `slot` is not."""
    return "green" if slot == "blue" else "blue"


@dataclass(frozen=True)
class Process:
    """One PM2 process: its name, pid, PM2's word for its state, and how often PM2 restarted it."""

    name: str
    pid: int
    status: str
    restarts: int


@dataclass(frozen=True)
class SlotState:
    """What a slot's directory holds: release, port, a digest of its configuration, and whether a run proved it."""

    release: str | None = None
    port: int | None = None
    configuration: str = ""
    proven: bool = False
    process: Process | None = None

    @property
    def online(self) -> bool:
        """PM2 says the slot's process is running."""
        return self.process is not None and self.process.status == "online"


@dataclass(frozen=True)
class Lease:
    """Who holds a host, why, and for how many more seconds (by the host's own clock; negative: expired)."""

    run: str
    holder: str
    reason: str
    token: int
    remaining: int

    @property
    def by_hand(self) -> bool:
        """No run holds it, but somebody who typed so."""
        return self.run.startswith(BY_HAND)


@dataclass(frozen=True)
class LastRun:
    """The newest run in a host's journal, and how far it came."""

    run: str
    verb: str
    step: str
    result: str


@dataclass(frozen=True)
class HistoryEntry:
    """One finished run: UTC time (ISO 8601), verb, release served since, who ran it, and its id.

    `previous` is the release served before, `restore` what it exchanged, if it did; `hotfix` is why it did not wait for
    its hour, `approved_by` who agreed, `promoted_from` where it had been verified.
    """

    at: str
    verb: str
    release: str
    holder: str
    run: str = ""
    previous: str | None = None
    restore: Restore | None = None
    hotfix: str = ""
    approved_by: tuple[str, ...] = ()
    promoted_from: str = ""


@dataclass(frozen=True)
class Observed:
    """A host as it is now. Paths are absolute; sizes are bytes; `clock` is the host's Unix time in seconds.

    `ports` tells who listens where, the application's own slots left out. `share` names how clients are divided (empty
    where that record is missing), `trial` the run whose switch is not confirmed yet, `pending` is the record of a run
    that has not ended (JSON), `progress` the last event of each of its steps, `bad` why a release is marked bad.
    """

    host: str
    user: str
    clock: int
    tools: Mapping[str, str]
    nginx_version: str
    free_bytes: int
    free_inodes: int
    slots: Mapping[Slot, SlotState]
    live: Slot | None
    maintenance: bool
    site: str
    generation: str
    ports: Mapping[int, str]
    releases: tuple[str, ...]
    lease: Lease | None = None
    last_run: LastRun | None = None
    history: tuple[HistoryEntry, ...] = ()
    processes: tuple[Process, ...] = ()
    writable: bool = True
    nginx_writable: bool = True
    share: str = ""
    trial: str = ""
    pending: str = ""
    progress: Mapping[str, str] = field(default_factory=dict)
    bad: Mapping[str, str] = field(default_factory=dict)
    log_readable: bool = True

    @property
    def idle(self) -> Slot:
        """The slot that takes no traffic; blue on a host that serves nothing yet."""
        return other(self.live) if self.live else "blue"

    @property
    def live_release(self) -> str | None:
        """The release that users get from this host, or None."""
        return self.slots[self.live].release if self.live else None


def newest_release(hosts: Iterable[Observed]) -> str | None:
    """The release of the last run that any host's history knows of, else what the first host serves."""
    seen = list(hosts)
    entries = [entry for host in seen for entry in host.history]
    if entries:
        return max(entries, key=lambda entry: entry.at).release
    return live_release(seen)


def live_release(hosts: Iterable[Observed]) -> str | None:
    """What the first of these hosts that serves a release serves."""
    return next((host.live_release for host in hosts if host.live_release), None)
