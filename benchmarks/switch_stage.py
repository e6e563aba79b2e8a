"""One lab host with the product's own nginx site before two slots, and both ways to switch it."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fabfile.commands import nginx, traffic
from fabfile.commands.shell import bind
from fabfile.config.schema import Environment
from fabfile.lab.lab import Lab
from fabfile.model.observed import Slot
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.model.share import Share
from fabfile.remote.ssh import SshHost
from fabfile.rendering import Site, render_site

HERE = Path(__file__).parent
COOKIE = "visitor"
SETTLE_SECONDS = 0.5
"""How long after a switch the old slot's last answer is waited for."""

# The peer does what is slow beforehand, too: between the words is only what changes who is served.
PEER = r"""
printf '%s' "$text" > "$site.new"
sync "$site.new"
echo ready
IFS= read -r go
mv "$site.new" "$site"
said=$(reload) || fail "nginx refuses the site" "$said"
echo switched
"""


@dataclass(frozen=True)
class Switched:
    """Seconds from the word `go`: until the host said it was done, the new slot's first answer, the old one's last."""

    done: float
    first: float
    last: float

    @property
    def both(self) -> float:
        """How long both slots answered."""
        return max(0.0, self.last - self.first)


class Stage:
    """A lab host on which blue serves, until it is told otherwise."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.address = lab.address("h1")
        self.environment = Environment.model_validate(
            {"app": "bench", "hosts": {"h1": {}}, "site": {"client_cookie": COOKIE}}
        )
        self.paths = Paths(self.environment.app)
        self.host = SshHost("h1", "h1", "deploy", None, lab.known_hosts, lab.ssh_config, connect_timeout=10)
        self.ports: dict[Slot, int] = {
            "blue": self.environment.process.ports.blue,
            "green": self.environment.process.ports.green,
        }

    def set_up(self) -> None:
        """Start both slots, and serve blue."""
        self.lab.execute("h1", "sh", "-c", "cat > /opt/slot.js", text=(HERE / "slot.js").read_text())
        for slot, port in self.ports.items():
            self.lab.execute("h1", "systemd-run", f"--unit=slot-{slot}", "node", "/opt/slot.js", slot, str(port))
        self.host.run(Script(bind('mkdir -p "$state"\n', state=self.paths.state), timeout=10))
        site = self.site("blue")
        self.host.run(nginx.install_site(self.paths, site.text, site.generation, self.environment.site.status_port))

    def site(self, blue: Slot) -> Site:
        """The rendered site; what it calls blue is the server of the slot `blue`, as the peer switches."""
        green: Slot = "green" if blue == "blue" else "blue"
        upstreams: dict[Slot, list[str]] = {
            "blue": [f"127.0.0.1:{self.ports[blue]}"],
            "green": [f"127.0.0.1:{self.ports[green]}"],
        }
        return render_site(self.environment, upstreams, HERE.parent / "templates")

    def share(self, wanted: Share, before: Share) -> Switched:
        """As a deploy does it, dead man's switch and confirmation included."""
        settings = self.environment.site
        front = traffic.Front(settings.listen, settings.server_name, "/", 5.0)
        trial = traffic.Trial("bench", "switch", first=True, patience=30, lease=30)
        switch = traffic.switch(self.paths, wanted, before, wanted.live, front, trial, verify=False)
        switched = self._timed(switch, before.live, wanted.live)
        self.host.run(traffic.confirm(self.paths, trial.run, final=True))
        return switched

    def reload(self, wanted: Slot, before: Slot) -> Switched:
        """As the peer does it: one upstream rewritten, `nginx -t`, `systemctl reload nginx`."""
        body = bind(PEER, site=self.paths.site, text=self.site(wanted).text, status_port=0)
        script = Script(body, timeout=60, mutates=True, library=nginx.SITE)
        return self._timed(script, before, wanted)

    def lingering(self) -> int:
        """nginx workers that wait for their last connections to end."""
        return int(self.lab.execute("h1", "sh", "-c", "pgrep -fc '[w]orker process is shutting down' || true"))

    def release(self) -> str:
        """nginx, cores and load of the machine, for who reads the figures."""
        version = self.lab.execute("h1", "sh", "-c", "nginx -v 2>&1").strip().rpartition("/")[2]
        return f"nginx {version}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"

    def _timed(self, script: Script, old: Slot, new: Slot) -> Switched:
        for slot in self.ports:
            self._seen(slot)
        gone, done = self._told(script)
        time.sleep(SETTLE_SECONDS)
        seen = self._seen(old)["last"], self._seen(new)["first"]
        last, first = (gone if at is None else at for at in seen)
        return Switched(done - gone, first - gone, last - gone)

    def _told(self, script: Script) -> tuple[float, float]:
        """When the host was given the word, and when it said that it had switched."""
        ready, times = threading.Event(), list[float]()

        def word() -> Iterator[bytes]:
            ready.wait()
            times.append(time.monotonic())
            yield traffic.GO

        heard = b""
        try:
            for piece in self.host.stream(script, stdin=word()):
                heard += piece
                if traffic.SWITCHED in heard and len(times) == 1:
                    times.append(time.monotonic())
                if traffic.READY in heard:
                    ready.set()
        finally:
            ready.set()
        gone, done = times
        return gone, done

    def _seen(self, slot: Slot) -> dict[str, float | None]:
        url = f"http://{self.address}:{self.ports[slot]}/seen"
        with urllib.request.urlopen(url, timeout=10) as answer:
            seen: dict[str, float | None] = json.load(answer)
        return seen


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage of this process's own; nothing is left of it."""
    name = f"bench-{os.getpid()}"
    try:
        found = Stage(Lab.up(name, hosts=1, s3="none"))
        try:
            found.set_up()
            yield found
        finally:
            found.host.close()
    finally:
        Lab.remove(name)
