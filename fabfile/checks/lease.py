"""Whether a run that is dead still holds a host, or somebody has locked it by hand."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, fine, here, warning
from fabfile.model.observed import Observed


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs each host's lease, and how long ago its holder gave a sign of life."""
    release = here("inv", "lock.release", f"--env={evidence.name}")

    def look(seen: Observed) -> Iterator[Finding]:
        lease = seen.lease
        if lease is None:
            yield fine(seen.host, "nobody holds it")
            return
        who = f"{lease.holder} ({lease.reason})"
        if lease.by_hand and lease.remaining <= 0:
            yield fine(seen.host, f"the lock by hand of {who} has ended")
        elif lease.remaining <= 0:
            yield warning(seen.host, f"{who} holds it, and has not been heard of for too long", release)
        elif lease.by_hand:
            yield warning(seen.host, f"{who} has locked it by hand, for another {lease.remaining} s", release)
        else:
            yield fine(seen.host, f"{who} works on it")

    yield from look_at(evidence.observed, evidence.environment.run_hosts, look)
