"""The end of a run: the slot is marked as proven, the history has its line, old archives go."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from fabfile.commands import release as commands
from fabfile.engine.step import HostStep
from fabfile.steps.target import Target


def record(target: Target) -> HostStep:
    """Write down that it worked. Nothing is taken back: this is the last step, and it only adds and tidies."""
    entry = json.dumps(
        {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "verb": target.plan.verb,
            "release": target.plan.release,
            "holder": target.holder,
            "run": target.run,
        }
    )
    keep = target.environment.release.keep
    doing = {host.host: commands.record(target.paths, host.slot, entry, keep) for host in target.plan.hosts}
    return HostStep("record", "write the history, remove what is no longer needed", doing)
