"""What will be done to each host, decided before anything is done."""

from __future__ import annotations

from dataclasses import dataclass

from fabfile.model.observed import Slot


@dataclass(frozen=True)
class SiteChange:
    """The nginx file before and after; `before` is empty where there is none yet."""

    before: str
    before_generation: str
    after: str
    after_generation: str


@dataclass(frozen=True)
class HostPlan:
    """One host: the slot that becomes live, the one that is live now, and what has to change for that."""

    host: str
    slot: Slot
    port: int
    previous: Slot | None
    previous_release: str | None
    previous_port: int | None
    upload: bool
    site: SiteChange | None
    node: str
    pm2: str


@dataclass(frozen=True)
class Plan:
    """A run over the fleet. `unchanged` names hosts that already are as wanted."""

    verb: str
    release: str
    hosts: tuple[HostPlan, ...]
    unchanged: tuple[str, ...] = ()
    backup: bool = False

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not self.hosts
