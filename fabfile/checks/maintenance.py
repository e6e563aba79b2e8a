"""Whether users are turned away."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, critical, fine, here
from fabfile.model.observed import Observed


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the flag by which nginx answers everything with 503."""

    def look(seen: Observed) -> Iterator[Finding]:
        if seen.maintenance:
            told = "maintenance is on (a run was interrupted, or somebody set it)"
            yield critical(seen.host, told, here("inv", "maintenance.off", f"--env={evidence.name}"))
        else:
            yield fine(seen.host, "maintenance is off")

    hosts = evidence.environment.run_hosts if evidence.run else evidence.environment.web_hosts
    yield from look_at(evidence.observed, hosts, look)
