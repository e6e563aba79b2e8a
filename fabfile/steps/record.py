"""What a run leaves in writing: its record while it goes on, the history at its end; and what nobody needs goes."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

from fabfile.commands import release as commands
from fabfile.engine.step import HostStep
from fabfile.model.run_record import RunRecord
from fabfile.model.script import Script
from fabfile.steps.target import Target


def begin(target: Target) -> HostStep:
    """Write down on every host what is going to happen, so that any machine can finish or undo it."""
    plan = target.plan
    doing = {}
    for host in plan.hosts:
        record = RunRecord(
            target.run,
            target.holder,
            target.began,
            target.configuration,
            plan.hosts,
            plan.only(host),
            target.before[host],
        )
        doing[host] = commands.begin(target.paths, record.to_json())
    return HostStep("begin", "write down what is going to happen", doing)


def seal(target: Target) -> HostStep:
    """Write down everywhere that users are about to write again. Only once every host has is any of them let through,
    so whichever host is asked later knows that nothing must be taken back."""
    nothing = dict.fromkeys(target.plan.hosts, Script(":\n", timeout=15, mutates=True))
    return HostStep("seal", "write down on every host that from here nothing is taken back", nothing, nothing)


def record(target: Target) -> HostStep:
    """Mark the slots as proven and write the history; a rollback marks what it leaves as bad."""
    plan = target.plan
    entry = json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "verb": plan.verb,
            "release": plan.release,
            "holder": target.holder,
            "run": target.run,
            "missing": list(plan.missing),
            "previous": plan.previous_release,
            "restore": asdict(plan.restore) if plan.restore else None,
            **({"hotfix": plan.hotfix} if plan.hotfix else {}),
            **({"approved_by": plan.approved_by} if plan.approved_by else {}),
            **({"promoted_from": plan.promoted_from} if plan.promoted_from else {}),
        },
        separators=(",", ":"),
    )
    filled = {app.host: app.slot for app in plan.apps}
    left = plan.previous_release if plan.verb == "rollback" and plan.previous_release != plan.release else None
    why = f"rolled back to {plan.release} by {target.holder}"
    doing = {
        host: commands.record(target.paths, filled.get(host), target.run, entry, plan.release, left or "", why)
        for host in plan.hosts
    }
    return HostStep("record", "write the history", doing)


def tidy(target: Target) -> HostStep:
    """Remove former trees, archives and assets that nobody needs any more; the run is over."""
    script = commands.tidy(target.paths, target.environment.release.keep).then(commands.end(target.paths))
    return HostStep("tidy", "remove what is no longer needed", dict.fromkeys(target.plan.hosts, script))
