"""Whether this command was called by a hook, that is, within a run that holds the lock."""

from __future__ import annotations

from collections.abc import Mapping

from fabfile.errors import Locked

RUN = "TURNOUT_RUN"
"""The variable that tells a hook which run called it."""


def refuse_within_hook(environ: Mapping[str, str]) -> None:
    """Raise Locked, without any wait, where the lock is wanted by a hook: the run that called it waits for the hook."""
    if run := environ.get(RUN):
        raise Locked(
            f"this is a hook of run {run}, which holds the lock and waits for this command",
            f"type the command once that run has ended; where this is no hook: unset {RUN}",
        )
