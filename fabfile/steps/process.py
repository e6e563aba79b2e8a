"""The application's processes: started in the idle slot, proven healthy, and stopped in the slot that was left."""

from __future__ import annotations

from fabfile.commands import pm2, probe
from fabfile.config.schema import Environment
from fabfile.engine.step import HostStep
from fabfile.errors import Refused
from fabfile.model.observed import Observed, Slot
from fabfile.model.paths import Paths
from fabfile.model.plan import AppPlan
from fabfile.model.script import Script
from fabfile.steps.target import Target


def start(target: Target) -> HostStep:
    """Start the idle slot and save both slots for a reboot, so that either one is there whatever happens next."""
    return HostStep(
        "start",
        f"start {target.plan.release} in the idle slot",
        {host.host: _start_new(target, host) for host in target.plan.apps},
        {host.host: _stop_new(target, host) for host in target.plan.apps},
    )


def prove(target: Target) -> HostStep:
    """Wait until every host's new process answers with its release id and stays up."""
    health = target.environment.health
    title = f"wait until {health.path} answers with {target.plan.release}, and watch it for {health.stable:g} s"
    return HostStep("prove", title, {host.host: _prove(target, host) for host in target.plan.apps})


def settle(target: Target) -> HostStep:
    """Stop the slot that was left and save what a reboot brings back; taken back by starting it again, proven."""
    left = [host for host in target.plan.apps if host.previous]
    return HostStep(
        "settle",
        "stop the slot that was left, and save what a reboot brings back",
        {host.host: _stop_old(target, host) for host in left},
        {host.host: restart_old(target, host) for host in left},
    )


def quiesce(target: Target) -> HostStep:
    """Stop the live slot (behind the maintenance answer), so that nothing writes any more."""
    left = [host for host in target.plan.apps if host.previous]
    return HostStep(
        "quiesce",
        "stop the application, so that nothing writes any more",
        {host.host: _stop_old(target, host, new_runs=False) for host in left},
        {host.host: restart_old(target, host) for host in left},
    )


def restart_old(target: Target, host: AppPlan) -> Script:
    """Bring the former slot back unless it still runs, and wait until it is healthy."""
    assert host.previous and host.previous_release and host.previous_port
    port, release = host.previous_port, host.previous_release
    environment, paths = target.environment, target.paths
    return _bring_back(environment, paths, host.previous, host.address, port, release, host.node, host.pm2)


def live_again(environment: Environment, paths: Paths, seen: Observed) -> Script:
    """Start a host's live slot unless it runs, and wait until it is healthy. Raises Refused where there is none."""
    state = seen.slots[seen.live] if seen.live else None
    if seen.live is None or state is None or state.release is None or state.port is None:
        raise Refused(f"{seen.host}: no release is live there", "deploy one: inv deploy")
    node, pm2_js = seen.tools.get("node", "node"), seen.tools.get("pm2", "pm2")
    address = environment.address_of(seen.host)
    return _bring_back(environment, paths, seen.live, address, state.port, state.release, node, pm2_js)


def _bring_back(
    environment: Environment,
    paths: Paths,
    slot: Slot,
    address: str,
    port: int,
    release: str,
    node: str,
    pm2_js: str,
) -> Script:
    limit = environment.process.stop_timeout
    start = pm2.start_unless_online(paths, slot, port, limit, node, pm2_js)
    return start.then(probe.prove(paths, slot, address, port, release, environment.health, node, pm2_js, fresh=False))


def _start_new(target: Target, host: AppPlan) -> Script:
    limit = target.environment.process.stop_timeout
    keep = _users_on(target, host)
    return pm2.start(target.paths, host.slot, host.port, keep, target.run, limit, host.node, host.pm2)


def _stop_new(target: Target, host: AppPlan) -> Script:
    limit = target.environment.process.stop_timeout
    return pm2.stop(target.paths, host.slot, host.port, _users_on(target, host), limit, host.node, host.pm2)


def _users_on(target: Target, host: AppPlan) -> tuple[str, ...]:
    """The process of the slot that serves while the new one starts; where files or rows return it has been stopped."""
    return (target.paths.process(host.previous),) if host.previous and target.plan.restore is None else ()


def _stop_old(target: Target, host: AppPlan, new_runs: bool = True) -> Script:
    assert host.previous and host.previous_port
    keep = (target.paths.process(host.slot),) if new_runs else ()
    limit = target.environment.process.stop_timeout
    return pm2.stop(target.paths, host.previous, host.previous_port, keep, limit, host.node, host.pm2)


def _prove(target: Target, host: AppPlan) -> Script:
    health = target.environment.health
    return probe.prove(
        target.paths, host.slot, host.address, host.port, target.plan.release, health, host.node, host.pm2
    )
