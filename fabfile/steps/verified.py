"""The note that an environment has verified a release, which `inv promote` goes by: the last thing of a good deploy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from fabfile.engine.run import Run
from fabfile.engine.step import OperatorStep
from fabfile.errors import TurnoutError
from fabfile.model.observed import HistoryEntry
from fabfile.model.verified import Verified
from fabfile.steps.target import Target
from fabfile.verified import VerifiedReleases

Digest = Callable[[], str]
"""Tells the SHA-256 of the archive that was deployed; asked only when it is needed."""


def verified(releases: Callable[[], VerifiedReleases], target: Target, digest: Digest) -> OperatorStep:
    """Note that a deploy has ended well. It is told when that fails, and the deploy stands."""
    plan = target.plan

    def work(run: Run) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            releases().add(_record(target, digest(), target.holder, now, target.run, plan.promoted_from))
        except TurnoutError as error:
            again = f"inv promote asks for that: inv deploy --release={plan.release} --env={target.name} notes it"
            raise TurnoutError(error.fact, error.hint, [*error.details, again]) from error

    return OperatorStep("verified", f"note that {target.name} has verified {plan.release}", (), work)


def make_up(
    releases: Callable[[], VerifiedReleases], target: Target, digest: Digest, entry: HistoryEntry | None
) -> str | None:
    """Note what an earlier deploy has earned but could not note. Returns what to tell, if there is anything."""
    if entry is None:
        return None
    try:
        sum_of = digest()
        if releases().find(target.plan.release, sum_of):
            return None
        releases().add(_record(target, sum_of, entry.holder, entry.at, entry.run, entry.promoted_from))
    except TurnoutError as error:
        return f"whether {target.name} verified {target.plan.release} could not be noted: {error.fact}"
    return f"noted that {target.name} verified {target.plan.release} at {entry.at}"


def _record(target: Target, digest: str, by: str, at: str, run: str, promoted_from: str) -> Verified:
    return Verified(target.environment.app, target.name, target.plan.release, digest, by, at, run, promoted_from)
