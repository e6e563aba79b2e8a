"""Was it the release's own fault that a run failed?"""

from __future__ import annotations

from fabfile.errors import FleetError, RemoteTimeout, TurnoutError, Unreachable


def is_to_blame(step: str, cause: TurnoutError) -> bool:
    """Whether the step that failed speaks against the release itself, and not against a host or the network."""
    failures = cause.failures if isinstance(cause, FleetError) else (cause,)
    if any(isinstance(failure, Unreachable | RemoteTimeout) for failure in failures):
        return False
    return step in ("prove", "smoke-idle", "smoke-live") or step.startswith(("gate", "watch"))
