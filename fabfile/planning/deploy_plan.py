"""From what the hosts hold and the release that is wanted to the plan of a deploy or a quick rollback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from fabfile.config.schema import Environment
from fabfile.errors import Refused
from fabfile.model.observed import SLOTS, Observed, Slot
from fabfile.model.plan import HostPlan, Plan, SiteChange
from fabfile.rendering import render_site


def plan_deploy(
    observed: Iterable[Observed],
    environment: Environment,
    release: str,
    configuration: str,
    templates: Path,
    again: bool = False,
) -> Plan:
    """Put `release` into each host's idle slot and make it live.

    Hosts that serve it already, with the configuration of that digest, are left alone; with `again` they are deployed
    to all the same (a restore needs a fresh slot).
    """
    hosts, unchanged = [], []
    for seen in sorted(observed, key=lambda seen: seen.host):
        ports = _ports(seen, environment, seen.idle)
        current = _site(seen, environment, _ports(seen, environment, None), templates)
        live = seen.slots[seen.live] if seen.live else None
        wanted = live is not None and (live.release, live.configuration) == (release, configuration)
        if live and wanted and live.online and live.proven and current is None and not again:
            unchanged.append(seen.host)
            continue
        hosts.append(
            _host_plan(
                seen,
                seen.idle,
                ports[seen.idle],
                release not in seen.releases,
                _site(seen, environment, ports, templates),
            )
        )
    backup = bool(hosts) and environment.backup is not None and environment.backup.before_deploy
    return Plan("deploy", release, tuple(hosts), tuple(unchanged), backup)


def plan_rollback(observed: Iterable[Observed], environment: Environment, templates: Path) -> Plan:
    """Back to the release in the other slot. Raises Refused unless every host holds the same proven one there."""
    seen_hosts = sorted(observed, key=lambda seen: seen.host)
    problems = []
    for seen in seen_hosts:
        idle = seen.slots[seen.idle]
        if seen.live is None:
            problems.append(f"{seen.host}: serves nothing yet")
        elif idle.release is None:
            problems.append(f"{seen.host}: the {seen.idle} slot is empty; this was the first deploy")
        elif not idle.proven:
            problems.append(f"{seen.host}: the {seen.idle} slot holds {idle.release} of a deploy that did not finish")
    releases = {seen.slots[seen.idle].release for seen in seen_hosts}
    if not problems and len(releases) > 1:
        problems = [f"{seen.host}: {seen.slots[seen.idle].release}" for seen in seen_hosts]
    if problems:
        raise Refused(
            "there is no release to go back to on every host",
            "deploy the one you want: inv deploy --release=ID (inv releases lists them)",
            problems,
        )
    hosts = []
    for seen in seen_hosts:
        ports = _ports(seen, environment, None)
        hosts.append(_host_plan(seen, seen.idle, ports[seen.idle], False, _site(seen, environment, ports, templates)))
    return Plan("rollback", str(releases.pop()), tuple(hosts))


def diff(host: str, change: SiteChange, path: str) -> str:
    """A unified diff of the rendered nginx file."""
    lines = difflib.unified_diff(
        change.before.splitlines(keepends=True),
        change.after.splitlines(keepends=True),
        f"{host}:{path} (now)",
        f"{host}:{path} (planned)",
    )
    return "".join(lines)


def _host_plan(seen: Observed, slot: Slot, port: int, upload: bool, site: SiteChange | None) -> HostPlan:
    previous = seen.slots[seen.live] if seen.live else None
    return HostPlan(
        host=seen.host,
        slot=slot,
        port=port,
        previous=seen.live if previous and previous.release else None,
        previous_release=previous.release if previous else None,
        previous_port=previous.port if previous else None,
        upload=upload,
        site=site,
        node=seen.tools.get("node", "node"),
        pm2=seen.tools.get("pm2", "pm2"),
    )


def _ports(seen: Observed, environment: Environment, fresh: Slot | None) -> dict[Slot, int]:
    """Where each slot listens: the one that is filled anew as configured, the other where its process really is."""
    configured: dict[Slot, int] = {"blue": environment.process.ports.blue, "green": environment.process.ports.green}
    return {slot: configured[slot] if slot == fresh else (seen.slots[slot].port or configured[slot]) for slot in SLOTS}


def _site(seen: Observed, environment: Environment, ports: dict[Slot, int], templates: Path) -> SiteChange | None:
    """The change of the nginx file, or None where the text is right and nginx really serves it."""
    site = render_site(environment, ports, templates)
    if seen.site == site.text and seen.generation == site.generation:
        return None
    return SiteChange(seen.site, seen.generation, site.text, site.generation)
