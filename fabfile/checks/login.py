"""Whether each host is who it was, and lets us in."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, Remedy, critical, fine, unseen


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs nothing but that a script ran; why a connection fails is told by whoever opened it."""
    for name, found in evidence.hosts.items():
        if not isinstance(found, Unseen):
            local = evidence.environment.hosts[name].local
            yield fine(name, "this machine" if local else "its host key is known and our key lets us in")
        elif found.kind == "elsewhere":
            yield critical(name, found.why, found.remedy or Remedy(f"inv hosts.list --env={evidence.name}"))
        else:
            yield unseen(name, found.why, found.remedy)
