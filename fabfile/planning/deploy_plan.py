"""From what the hosts hold and the release that is wanted to the plan of a deploy or a quick rollback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from fabfile.config.schema import Environment
from fabfile.errors import Refused
from fabfile.model.observed import SLOTS, Observed, Slot, other
from fabfile.model.plan import AppPlan, Kind, Plan, Rollout, SiteChange, WebPlan
from fabfile.model.restore import Restore
from fabfile.model.share import Share
from fabfile.rendering import render_site

CATCH_UP = "inv deploy.catch-up brings those up to date that missed a deploy; inv status shows each"


def plan_deploy(
    observed: Iterable[Observed],
    environment: Environment,
    release: str,
    configuration: str,
    templates: Path,
    *,
    restore: Restore | None = None,
    rollout: Rollout | None = None,
) -> Plan:
    """Put `release` into the idle slots and make it live.

    Where every host has nginx and the application, each goes by itself, and those that serve the release already, with
    the configuration of that digest, are left alone. Elsewhere all hosts go together, by one slot. A `restore` goes
    everywhere: it needs fresh slots. Raises Refused where the nginx hosts do not agree on the live slot.
    """
    seen = {host.host: host for host in sorted(observed, key=lambda host: host.host)}
    live = None if environment.together else one_slot(seen, environment)
    done = set() if restore else _as_wanted(seen, environment, release, configuration, templates)
    if live and done != set(seen):
        done = set()
    apps = tuple(
        _app(host, environment, _idle(host, live), fresh=True, upload=release not in host.releases)
        for host in seen.values()
        if host.host in environment.app_hosts and host.host not in done
    )
    kind: Kind = "restore" if restore else "deploy"
    plan = Plan("deploy", kind, release, apps, (), rollout=rollout or Rollout(), restore=restore)
    return _plan(seen, environment, templates, plan, done)


def plan_catch_up(
    observed: Iterable[Observed], environment: Environment, release: str, configuration: str, templates: Path
) -> Plan:
    """Bring hosts that missed a deploy to the release that the others serve.

    Where all go by one slot, hosts with the application are filled in that slot, which nobody asks them for yet.
    Raises Refused for one that runs something else there.
    """
    seen = {host.host: host for host in sorted(observed, key=lambda host: host.host)}
    if environment.together:
        return replace(plan_deploy(seen.values(), environment, release, configuration, templates), verb="catch-up")
    live = next((slot for slot in SLOTS for host in seen.values() if _runs(host, slot, release)), SLOTS[0])
    behind = [host for name, host in seen.items() if name in environment.app_hosts and not _runs(host, live, release)]
    for host in behind:
        if host.slots[live].online:
            raise Refused(
                f"{host.host}: runs {host.slots[live].release} in the slot {live}, which is live on the others",
                "stop it there, then catch up: pm2 delete " + str(getattr(host.slots[live].process, "name", "")),
            )
    apps = tuple(_app(host, environment, live, fresh=True, upload=release not in host.releases) for host in behind)
    return _plan(seen, environment, templates, Plan("catch-up", "deploy", release, apps, ()), set(), live)


def plan_rollback(observed: Iterable[Observed], environment: Environment, templates: Path) -> Plan:
    """Back to the release in the other slot. Raises Refused unless every host holds the same good one there."""
    seen = {host.host: host for host in sorted(observed, key=lambda host: host.host)}
    live = None if environment.together else one_slot(seen, environment)
    hosts = [seen[name] for name in environment.app_hosts if name in seen]
    problems = [problem for host in hosts for problem in _no_way_back(host, _idle(host, live))]
    releases = {host.slots[_idle(host, live)].release for host in hosts}
    if not problems and len(releases) > 1:
        problems = [f"{host.host}: {host.slots[_idle(host, live)].release}" for host in hosts]
    if problems:
        raise Refused(
            "there is no release to go back to on every host",
            "name the one you want: inv rollback --to=RELEASE (inv releases lists them)",
            problems,
        )
    apps = tuple(_app(host, environment, _idle(host, live), fresh=False) for host in hosts)
    return _plan(seen, environment, templates, Plan("rollback", "back", str(releases.pop()), apps, ()), set())


def plan_stay(observed: Iterable[Observed], environment: Environment, restore: Restore) -> Plan:
    """The live release stays in its slot while its database or files are exchanged.

    Raises Refused unless all hosts serve the same release to everybody.
    """
    seen = {host.host: host for host in sorted(observed, key=lambda host: host.host)}
    common = None if environment.together else one_slot(seen, environment)
    apps = []
    for name in environment.app_hosts:
        host = seen[name]
        slot = common or host.live
        if slot is None or host.slots[slot].release is None:
            raise Refused(f"{name}: serves nothing yet", "deploy a release first: inv deploy")
        app = _app(host, environment, slot, fresh=False)
        apps.append(replace(app, previous=slot, previous_release=host.slots[slot].release, previous_port=app.port))
    if len({app.previous_release for app in apps}) > 1:
        each = [f"{app.host}: {app.previous_release}" for app in apps]
        raise Refused("the hosts do not serve the same release", CATCH_UP, each)
    release, webs = str(apps[0].previous_release), []
    for name in environment.web_hosts:
        slot = common or seen[name].live or SLOTS[0]
        upstreams = _upstreams(seen, environment, seen[name], None)[slot]
        webs.append(WebPlan(name, slot, upstreams, Share.parse(seen[name].share) or Share(slot), release, None))
    return Plan("rollback", "stay", release, tuple(apps), tuple(webs), restore=restore)


def refuse_if_bad(observed: Mapping[str, Observed], release: str) -> None:
    """Raise Refused where a run has marked this release as bad."""
    known = {name: seen.bad[release] for name, seen in observed.items() if release in seen.bad}
    if known:
        raise Refused(
            f"{release} is marked bad",
            f"to serve it all the same: inv deploy --release={release}",
            [f"{name}: {why}" for name, why in known.items()],
        )


def diff(host: str, change: SiteChange, path: str) -> str:
    """A unified diff of the rendered nginx file."""
    lines = difflib.unified_diff(
        change.before.splitlines(keepends=True),
        change.after.splitlines(keepends=True),
        f"{host}:{path} (now)",
        f"{host}:{path} (planned)",
    )
    return "".join(lines)


def one_slot(seen: Mapping[str, Observed], environment: Environment) -> Slot | None:
    """The slot that all nginx hosts send to, None before the first deploy. Raises Refused when they differ."""
    found = {name: seen[name].live for name in environment.web_hosts if name in seen and seen[name].live}
    if len(set(found.values())) > 1:
        raise Refused(
            "the nginx hosts do not send to the same slot",
            CATCH_UP,
            [f"{name}: {slot}" for name, slot in found.items()],
        )
    return next(iter(found.values()), None)


def _runs(host: Observed, slot: Slot, release: str) -> bool:
    return host.slots[slot].release == release and host.slots[slot].online


def _idle(host: Observed, live: Slot | None) -> Slot:
    return other(live) if live else host.idle


def _no_way_back(host: Observed, slot: Slot) -> list[str]:
    idle = host.slots[slot]
    if host.live is None:
        return [f"{host.host}: serves nothing yet"]
    if idle.release is None:
        return [f"{host.host}: the {slot} slot is empty; this was the first deploy"]
    if not idle.proven:
        return [f"{host.host}: the {slot} slot holds {idle.release} of a deploy that did not finish"]
    if idle.release in host.bad:
        return [f"{host.host}: {idle.release} in the {slot} slot is marked bad: {host.bad[idle.release]}"]
    return []


def _as_wanted(
    seen: Mapping[str, Observed], environment: Environment, release: str, configuration: str, templates: Path
) -> set[str]:
    done = set()
    for name, host in seen.items():
        live = host.slots[host.live] if host.live else None
        serves = live is not None and (live.release, live.configuration) == (release, configuration)
        app = name not in environment.app_hosts or bool(live and serves and live.online and live.proven)
        upstreams = _upstreams(seen, environment, host, None)
        web = name not in environment.web_hosts or (
            host.live is not None
            and Share.parse(host.share) == Share(host.live)
            and _site(host, environment, upstreams, templates) is None
        )
        if app and web:
            done.add(name)
    return done


def _plan(
    seen: Mapping[str, Observed],
    environment: Environment,
    templates: Path,
    plan: Plan,
    done: set[str],
    slot: Slot | None = None,
) -> Plan:
    """The plan with the hosts of nginx in it; `slot` is the one that all send to, where it is not each one's idle."""
    webs = []
    live = None if environment.together or slot else one_slot(seen, environment)
    for name in environment.web_hosts:
        if name not in seen or name in done:
            continue
        host = seen[name]
        wanted = slot or _idle(host, live)
        upstreams = _upstreams(seen, environment, host, None if plan.kind == "back" else wanted)
        change = _site(host, environment, upstreams, templates)
        now = Share.parse(host.share) or (Share(host.live) if host.live else None)
        if slot is not None and change is None and now == Share(slot):
            continue
        previous = host.live_release or plan.previous_release
        webs.append(WebPlan(name, wanted, upstreams[wanted], now if previous else None, previous, change))
    return replace(plan, webs=tuple(webs), unchanged=tuple(sorted(done)))


def _app(host: Observed, environment: Environment, slot: Slot, *, fresh: bool, upload: bool = False) -> AppPlan:
    """`fresh`: the slot is filled anew, so it gets the port that is configured now."""
    left = other(slot)
    serves = host.slots[left].release is not None
    return AppPlan(
        host=host.host,
        slot=slot,
        port=_port(host, environment, slot, slot if fresh else None),
        address=environment.address_of(host.host),
        previous=left if serves else None,
        previous_release=host.slots[left].release,
        previous_port=host.slots[left].port,
        upload=upload,
        node=host.tools.get("node", "node"),
        pm2=host.tools.get("pm2", "pm2"),
    )


def _port(host: Observed, environment: Environment, slot: Slot, fresh: Slot | None) -> int:
    """Where the slot listens: as configured if it is filled anew, else where its process really is."""
    configured = getattr(environment.process.ports, slot)
    return int(configured if slot == fresh else host.slots[slot].port or configured)


def _upstreams(
    seen: Mapping[str, Observed], environment: Environment, web: Observed, fresh: Slot | None
) -> dict[Slot, tuple[str, ...]]:
    """Where this nginx finds each slot: beside it, or on every host of the application that takes part."""
    names = [web.host] if environment.together else [name for name in environment.app_hosts if name in seen]
    return {
        slot: tuple(f"{environment.address_of(name)}:{_port(seen[name], environment, slot, fresh)}" for name in names)
        for slot in SLOTS
    }


def _site(
    host: Observed, environment: Environment, upstreams: Mapping[Slot, tuple[str, ...]], templates: Path
) -> SiteChange | None:
    """The change of the nginx file, or None where the text is right and nginx really serves it."""
    site = render_site(environment, upstreams, templates)
    if host.site == site.text and host.generation == site.generation:
        return None
    return SiteChange(host.site, host.generation, site.text, site.generation)
