"""Where requests go: the nginx site, the flag that switches, the drain of the old slot, the maintenance answer."""

from __future__ import annotations

from collections.abc import Mapping

from fabfile.commands import nginx, probe
from fabfile.config.schema import Environment
from fabfile.engine.step import HostStep
from fabfile.model.observed import Observed, Slot
from fabfile.model.paths import Paths
from fabfile.model.plan import HostPlan
from fabfile.model.script import Result, Script
from fabfile.steps.target import Target


def site(target: Target) -> HostStep:
    """Install the rendered site where it changed, proven by its generation; taken back by installing the former one."""
    status_port = target.environment.site.status_port
    doing, undoing = {}, {}
    for host in target.plan.hosts:
        if change := host.site:
            doing[host.host] = nginx.install_site(target.paths, change.after, change.after_generation, status_port)
            undoing[host.host] = (
                nginx.install_site(target.paths, change.before, change.before_generation, status_port)
                if change.before
                else nginx.remove_site(target.paths, status_port)
            )
    return HostStep("site", "install the nginx site and reload, verified by its generation", doing, undoing)


def switch(target: Target, frozen: bool = False) -> HostStep:
    """Make the new slot live on every host at the same time; one that fails puts all of them back.

    While the maintenance answer is on (`frozen`) nothing can be seen through nginx, so `unfreeze` looks later.
    """
    hosts = target.plan.hosts
    return HostStep(
        "switch",
        f"switch traffic to {target.plan.release}",
        {
            host.host: _flag(target.environment, target.paths, host.slot, target.plan.release, verify=not frozen)
            for host in hosts
        },
        {host.host: _flag_back(target, host, verify=not frozen) for host in hosts},
    )


def drain(target: Target) -> HostStep:
    """Wait until nobody is connected to the slot that was left, at most `release.drain_timeout`."""
    limit = target.environment.release.drain_timeout
    left = [host for host in target.plan.hosts if host.previous_port and host.previous_port != host.port]

    def report(results: Mapping[str, Result]) -> list[str]:
        open_now = {name: int(result.stdout.strip() or 0) for name, result in results.items()}
        return [f"{name}: {count} connections stayed to the end" for name, count in open_now.items() if count]

    doing = {host.host: probe.drain(host.previous_port, limit) for host in left if host.previous_port}
    return HostStep("drain", f"wait for the last connection to the old slot, at most {limit:g} s", doing, report=report)


def freeze(target: Target) -> HostStep:
    """Answer every request with 503 and Retry-After."""
    hosts = [host.host for host in target.plan.hosts]
    return HostStep(
        "freeze",
        "answer requests with 503 and Retry-After",
        dict.fromkeys(hosts, nginx.maintenance(target.paths, on=True)),
        dict.fromkeys(hosts, nginx.maintenance(target.paths, on=False)),
    )


def unfreeze(target: Target) -> HostStep:
    """Let requests through again, and see them answered by the release that is live now."""
    environment, paths, release = target.environment, target.paths, target.plan.release
    doing = {host.host: _through(environment, paths, host.slot, release) for host in target.plan.hosts}
    return HostStep("unfreeze", "let requests through again", doing)


def let_through(environment: Environment, paths: Paths, seen: Observed) -> Script:
    """Let requests through to what is live on a host, and see its answer."""
    return _through(environment, paths, seen.live or "blue", seen.live_release or "")


def _through(environment: Environment, paths: Paths, slot: Slot, release: str) -> Script:
    return nginx.maintenance(paths, on=False).then(_flag(environment, paths, slot, release))


def _flag(environment: Environment, paths: Paths, slot: Slot, release: str, verify: bool = True) -> Script:
    settings, health = environment.site, environment.health
    return nginx.switch(
        paths, slot, release, settings.listen, settings.server_name, health.path, health.request_timeout, verify
    )


def _flag_back(target: Target, host: HostPlan, verify: bool) -> Script:
    # On a first deploy there is nothing to answer: the site goes away next.
    verify = verify and host.previous is not None
    slot, release = host.previous or "blue", host.previous_release or ""
    return _flag(target.environment, target.paths, slot, release, verify)
