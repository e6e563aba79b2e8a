"""What will be done to each host, decided before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fabfile.model.observed import Slot
from fabfile.model.restore import Restore
from fabfile.model.share import Share

Kind = Literal["deploy", "back", "restore", "stay"]
"""A release comes to the idle slot; the idle slot's own release returns; a release comes to the idle slot, and files or
rows return with it; files or rows return, and the live release stays."""


@dataclass(frozen=True)
class SiteChange:
    """The nginx file before and after; `before` is empty where there is none yet."""

    before: str
    before_generation: str
    after: str
    after_generation: str


@dataclass(frozen=True)
class AppPlan:
    """A host that runs the application: the slot that is filled or started, and the one that serves now.

    `address` is where the application listens; `upload` says whether the archive has to be sent.
    """

    host: str
    slot: Slot
    port: int
    address: str
    previous: Slot | None
    previous_release: str | None
    previous_port: int | None
    upload: bool
    node: str
    pm2: str


@dataclass(frozen=True)
class WebPlan:
    """A host with nginx: the slot that its clients will get, the one they get now, and the site if it changes.

    `upstreams` are the addresses of the new slot, as this host reaches them. `before` is None on a first deploy.
    """

    host: str
    slot: Slot
    upstreams: tuple[str, ...]
    before: Share | None
    previous_release: str | None
    site: SiteChange | None


@dataclass(frozen=True)
class Rollout:
    """How traffic moves: by canary shares (percent, rising, below 100), each for `step` seconds, to how many hosts at
    a time (`serial`, 0 for all), and how many seconds it is watched afterwards. A `hold` ends at the last share."""

    canary: tuple[int, ...] = ()
    step: float = 0.0
    watch: float = 0.0
    serial: int = 0
    hold: bool = False


@dataclass(frozen=True)
class Plan:
    """A run over the fleet. `unchanged` names hosts that already are as wanted, `missing` those left out.

    `restore` tells what is exchanged where files or rows return. `migrations` are the names of SQL files to be applied
    before the release starts, `contracts` of those that wait until it has taken over everywhere. `hotfix` is why
    the run did not wait for its hour, `approved_by` names who agreed to it, and `promoted_from` the environment that
    had verified the release, where it was promoted. `digest` is the SHA-256 of the archive that the run sends; empty
    where it sends none.
    """

    verb: str
    kind: Kind
    release: str
    apps: tuple[AppPlan, ...]
    webs: tuple[WebPlan, ...]
    unchanged: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    backup: bool = False
    migrate: bool = False
    rollout: Rollout = Rollout()
    restore: Restore | None = None
    migrations: tuple[str, ...] = ()
    contracts: tuple[str, ...] = ()
    hotfix: str = ""
    approved_by: tuple[str, ...] = ()
    promoted_from: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if (self.kind in ("restore", "stay")) != (self.restore is not None):
            raise ValueError("a plan that brings files or rows back tells which, and no other does")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every host that takes part, sorted."""
        return tuple(sorted({*(app.host for app in self.apps), *(web.host for web in self.webs)}))

    @property
    def previous_release(self) -> str | None:
        """What users get now; on a fleet that is not of one mind, from the first host."""
        return next((app.previous_release for app in self.apps if app.previous_release), None)

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not self.apps and not self.webs

    def only(self, host: str) -> Plan:
        """The part of one host."""
        return replace(
            self,
            apps=tuple(app for app in self.apps if app.host == host),
            webs=tuple(web for web in self.webs if web.host == host),
        )
