"""Whether the programs are there that runs start on the hosts."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.commands.observe import TOOLS
from fabfile.model.finding import Finding, as_root, critical, fine
from fabfile.model.observed import Observed

PACKAGES = {"ss": "iproute2", "sha256sum": "coreutils", "timeout": "coreutils", "flock": "util-linux", "node": "nodejs"}
WEB = ("curl", "flock", "nginx", "ss", "sudo", "timeout")
APP = ("curl", "flock", "node", "pm2", "sha256sum", "ss", "tar", "timeout", "zstd")


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs where each host finds its programs."""
    environment = evidence.environment

    def look(seen: Observed) -> Iterator[Finding]:
        web, app = seen.host in environment.web_hosts, seen.host in environment.app_hosts
        needed = {*(WEB if web else ()), *(APP if app else ())}
        missing = [tool for tool in TOOLS if tool in needed and tool not in seen.tools]
        if not missing:
            yield fine(seen.host, "every program that runs need is there")
            return
        packages = sorted({PACKAGES.get(tool, tool) for tool in missing if tool != "pm2"})
        commands = [f"apt-get install {' '.join(packages)}"] if packages else []
        commands += ["npm install -g pm2"] if "pm2" in missing else []
        yield critical(seen.host, f"{', '.join(missing)} not found", as_root(seen.host, "; ".join(commands)))

    yield from look_at(evidence.observed, environment.run_hosts, look)
