"""Where requests go: the nginx site, the shares of both slots, the drain, the maintenance answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fabfile.commands import nginx, probe, traffic
from fabfile.commands.traffic import Front, Trial
from fabfile.config.schema import Environment
from fabfile.engine.lease import TTL
from fabfile.engine.step import HostStep, NewConnectionStep, SwitchStep
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths
from fabfile.model.plan import WebPlan
from fabfile.model.script import Result, Script
from fabfile.model.share import Share
from fabfile.steps.target import Target


def reach(target: Target) -> HostStep:
    """Where nginx and the application are apart: see the release answer every nginx over the network."""
    health = target.environment.health
    doing = {
        web.host: probe.reach(web.upstreams, health.path, target.plan.release, health.request_timeout)
        for web in target.plan.webs
        if not target.environment.together
    }
    return HostStep("reach", "see the new slot answer from each nginx host", doing)


def site(target: Target) -> HostStep:
    """Install the rendered site where it changed, proven by its generation; taken back by installing the former one."""
    status_port = target.environment.site.status_port
    doing, undoing = {}, {}
    for web in target.plan.webs:
        if change := web.site:
            doing[web.host] = nginx.install_site(target.paths, change.after, change.after_generation, status_port)
            undoing[web.host] = (
                nginx.install_site(target.paths, change.before, change.before_generation, status_port)
                if change.before
                else nginx.remove_site(target.paths, status_port)
            )
    return HostStep("site", "install the nginx site and reload, verified by its generation", doing, undoing)


def canary(target: Target, percent: int, first: bool) -> SwitchStep:
    """Give the new slot to that share of the clients, the same ones as before and some more."""
    shares = {web.host: Share(_before(web).live, percent) for web in target.plan.webs}
    title = f"give {percent} % of the clients {target.plan.release}"
    return _switch(target, f"canary-{percent}", title, target.plan.webs, shares, first)


def switch(
    target: Target, webs: Sequence[WebPlan] | None = None, number: int = 0, first: bool = True, frozen: bool = False
) -> SwitchStep:
    """Make the new slot live for everybody, on all hosts or on these ones, the batch of that number.

    While the maintenance answer is on (`frozen`) nothing can be seen through nginx, so `unfreeze` looks later.
    """
    webs = target.plan.webs if webs is None else webs
    name, title = "switch", f"switch traffic to {target.plan.release}"
    if number:
        name, title = f"switch.{number}", f"{title} on {', '.join(web.host for web in webs)}"
    return _switch(target, name, title, webs, {web.host: Share(web.slot) for web in webs}, first, verify=not frozen)


def confirm(target: Target, name: str = "confirm", final: bool = True) -> NewConnectionStep:
    """Tell every host over a new connection that its switch may stay; a host that is not told takes it back."""
    title = "confirm over new connections; a host that is not told takes its traffic back"
    script = traffic.confirm(target.paths, target.run, final)
    return NewConnectionStep(name, title, {web.host: script for web in target.plan.webs})


def confirm_some(target: Target, webs: Sequence[WebPlan], number: int) -> NewConnectionStep:
    """Tell the hosts of a batch that their switch may stay while the others follow."""
    script = traffic.confirm(target.paths, target.run, final=False)
    return NewConnectionStep(f"confirm.{number}", "confirm over new connections", {web.host: script for web in webs})


def hold(target: Target) -> HostStep:
    """Leave the clients divided as they are, until somebody decides."""
    script = traffic.confirm(target.paths, target.run, final=True)
    return HostStep("hold", "leave the canary as it is", {web.host: script for web in target.plan.webs})


def drain(target: Target) -> HostStep:
    """Wait until nobody is connected to the slot that was left, at most `release.drain_timeout`."""
    limit = target.environment.release.drain_timeout
    left = [app for app in target.plan.apps if app.previous_port and app.previous_port != app.port]

    def report(results: Mapping[str, Result]) -> list[str]:
        open_now = {name: int(result.stdout.strip() or 0) for name, result in results.items()}
        return [f"{name}: {count} connections stayed to the end" for name, count in open_now.items() if count]

    doing = {app.host: probe.drain(app.previous_port, limit) for app in left if app.previous_port}
    return HostStep("drain", f"wait for the last connection to the old slot, at most {limit:g} s", doing, report=report)


def freeze(target: Target) -> HostStep:
    """Answer every request with 503 and Retry-After."""
    hosts = [web.host for web in target.plan.webs]
    return HostStep(
        "freeze",
        "answer requests with 503 and Retry-After",
        dict.fromkeys(hosts, nginx.maintenance(target.paths, on=True)),
        dict.fromkeys(hosts, nginx.maintenance(target.paths, on=False)),
    )


def unfreeze(target: Target) -> HostStep:
    """Let requests through again, and see them answered by the release that is live now."""
    script = _through(target.environment, target.paths, target.plan.release)
    return HostStep("unfreeze", "let requests through again", {web.host: script for web in target.plan.webs})


def let_through(environment: Environment, paths: Paths, seen: Observed, elsewhere: str | None) -> Script:
    """Let requests through to what is live on a host, or on the hosts of the application elsewhere; see its answer."""
    return _through(environment, paths, seen.live_release or elsewhere or "")


def _through(environment: Environment, paths: Paths, release: str) -> Script:
    return nginx.maintenance(paths, on=False).then(traffic.answering(paths, release, _front(environment)))


def _switch(
    target: Target,
    name: str,
    title: str,
    webs: Sequence[WebPlan],
    shares: Mapping[str, Share],
    first: bool,
    verify: bool = True,
) -> SwitchStep:
    front, paths = _front(target.environment), target.paths
    trial = Trial(target.run, name, first, target.environment.release.confirm_timeout, TTL)
    doing, undoing = {}, {}
    for web in webs:
        before = _before(web)
        doing[web.host] = traffic.switch(
            paths, shares[web.host], before, target.plan.release, front, trial, verify=verify
        )
        # On a first deploy there is nothing to answer: the site goes away next.
        look = verify and web.before is not None
        undoing[web.host] = traffic.back(paths, before, web.previous_release or "", front, verify=look)
    # A host that has both is left alone by itself when it fails; elsewhere any nginx asks every host.
    behind = () if target.environment.together else tuple(app.host for app in target.plan.apps)
    return SwitchStep(name, title, doing, undoing, behind)


def _before(web: WebPlan) -> Share:
    return web.before or Share("blue")


def _front(environment: Environment) -> Front:
    settings, health = environment.site, environment.health
    return Front(settings.listen, settings.server_name, health.path, health.request_timeout)
