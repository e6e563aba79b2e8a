"""Whether nginx, Node and PM2 are new enough for what is asked of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, Remedy, as_root, critical, fine, unseen
from fabfile.model.observed import Observed

NGINX = (1, 15, 3)
"""Since then an upstream's idle connections have a time-out of their own."""
NODE = (16,)
"""The oldest that PM2 7 starts on."""
PM2 = (5,)
"""The oldest whose daemon was tried."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs what the programs say of themselves; one that is not there at all is another check's."""
    environment = evidence.environment
    for name in environment.run_hosts:
        if name not in evidence.hosts:
            continue
        facts, seen = evidence.hosts[name], evidence.observed.get(name)
        if isinstance(facts, Unseen):
            yield unseen(name, facts.why)
            continue
        app, web = name in environment.app_hosts, name in environment.web_hosts
        nginx = seen.nginx_version if isinstance(seen, Observed) and web else ""
        told = [
            ("nginx", nginx, NGINX, as_root(name, "apt-get install --only-upgrade nginx")),
            ("node", facts.node_version if app else "", NODE, _by_hand(f"install Node {NODE[0]} or newer on {name}")),
            ("pm2", facts.pm2_version if app else "", PM2, as_root(name, "npm install -g pm2@latest")),
        ]
        found = [one for one in told if one[1]]
        old = [one for one in found if older(one[1], one[2])]
        for program, version, least, remedy in old:
            yield critical(name, f"{program} {version} is older than {'.'.join(map(str, least))}", remedy)
        if not old:
            yield fine(name, ", ".join(f"{program} {version}" for program, version, _, _ in found) or "nothing to ask")


def older(version: str, least: tuple[int, ...]) -> bool:
    """Whether a version is below the least one; text that is no version is not."""
    numbers = tuple(map(int, re.findall(r"\d+", version.partition("-")[0])))
    return bool(numbers) and numbers[: len(least)] < least


def _by_hand(note: str) -> Remedy:
    return Remedy(note=note)
