"""Whether a run has not come to its end."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence
from fabfile.errors import Refused
from fabfile.model.finding import Finding, Remedy, critical, fine, warning
from fabfile.planning.unfinished import find_unfinished, readable


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the record of a run that hosts keep until it has ended; one whose holder is alive still goes on."""
    seen = evidence.seen
    if not seen:
        return
    try:
        readable(seen)
    except Refused as error:
        yield critical("", error.fact, Remedy(note=error.hint))
        return
    found = find_unfinished(seen)
    if found is None:
        yield fine("", "every run has come to its end")
        return
    alive = any(one.lease and one.lease.run == found.run and one.lease.remaining > 0 for one in seen.values())
    remedy = Remedy(f"inv deploy.abort --env={evidence.name}", note=f"{found.remedy}; to undo it")
    if found.took_effect:
        remedy = Remedy(f"inv deploy.resume --env={evidence.name}")
    if found.held:
        yield warning("", found.sentence, Remedy(f"inv canary.status --env={evidence.name}", note=found.remedy))
    elif alive:
        yield fine("", f"{found.holder} is at work")
    else:
        yield critical("", found.sentence, remedy)
