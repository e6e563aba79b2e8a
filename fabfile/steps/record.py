"""The end of a run, from which nothing is taken back: the history has its line, and what nobody needs goes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from fabfile.commands import release as commands
from fabfile.engine.step import HostStep
from fabfile.steps.target import Target


def record(target: Target) -> HostStep:
    """Mark the slots as proven and write the history."""
    entry = json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "verb": target.plan.verb,
            "release": target.plan.release,
            "holder": target.holder,
            "run": target.run,
        }
    )
    doing = {host.host: commands.record(target.paths, host.slot, entry) for host in target.plan.hosts}
    return HostStep("record", "write the history", doing)


def tidy(target: Target) -> HostStep:
    """Remove former trees, archives and assets that nobody needs any more."""
    script = commands.tidy(target.paths, target.environment.release.keep)
    return HostStep("tidy", "remove what is no longer needed", {host.host: script for host in target.plan.hosts})
