"""Where things are on a host; every path that the product touches there is named here."""

from __future__ import annotations

from dataclasses import dataclass

from fabfile.model.observed import Slot


@dataclass(frozen=True)
class Paths:
    """The paths of one application on a host."""

    app: str
    base: str = "/var/app"
    nginx: str = "/etc/nginx/turnout"
    """Rendered nginx files and the flags beside them; owned by the deploy user, included by nginx."""

    @property
    def root(self) -> str:
        return f"{self.base}/{self.app}"

    @property
    def state(self) -> str:
        """Lease, journal and history; 0700."""
        return f"{self.root}/.turnout"

    @property
    def releases(self) -> str:
        return f"{self.root}/releases"

    @property
    def shared(self) -> str:
        return f"{self.root}/shared"

    @property
    def assets(self) -> str:
        """The assets of all releases together; only ever added to, but for what is old and unused."""
        return f"{self.root}/assets"

    @property
    def logs(self) -> str:
        return f"{self.root}/logs"

    def slot(self, slot: Slot) -> str:
        """The slot's directory: a real one, because PM2 does not follow a symlink that moves."""
        return f"{self.root}/slots/{slot}"

    def scratch(self, run: str) -> str:
        """Where a run tries a release out, beside everything live."""
        return f"{self.root}/scratch/{run}"

    def process(self, slot: Slot) -> str:
        """The slot's name in PM2."""
        return f"{self.app}-{slot}"

    @property
    def site(self) -> str:
        """The rendered nginx file."""
        return f"{self.nginx}/{self.app}.conf"

    @property
    def traffic(self) -> str:
        """A symlink to the share that holds now: the one record of the live slot, looked up at each request."""
        return f"{self.nginx}/{self.app}.traffic"

    @property
    def shares(self) -> str:
        """A directory for each way of dividing clients, holding a file for each bucket of them that green serves."""
        return f"{self.nginx}/{self.app}.shares"

    @property
    def access_log(self) -> str:
        """What nginx writes about each request, as JSON lines."""
        return f"/var/log/nginx/{self.app}.access.json"

    @property
    def maintenance(self) -> str:
        """Exists while every request is answered with 503."""
        return f"{self.nginx}/{self.app}.maintenance"
