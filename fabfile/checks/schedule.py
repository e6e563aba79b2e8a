"""Whether something takes backups by the clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from fabfile.checks.evidence import Evidence, Schedule, Unseen
from fabfile.model.finding import Finding, Remedy, beside_the_point, fine, here, unseen, warning
from fabfile.planning.freshness import AHEAD, taken

REASON = "scheduled"
"""What backups by the clock give as their reason."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs what is installed on this machine, and of the backups those that a schedule has taken: it may be installed
    on another one."""
    settings, found, points = evidence.environment.backup, evidence.schedule, evidence.points
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no backup section")
        return
    nowhere, remedy = "none is installed here", here("inv", "backup.schedule", f"--env={evidence.name}")
    if isinstance(found, Unseen):
        nowhere, remedy = found.why, found.remedy or remedy
    elif found.installed:
        yield _installed(found, evidence, remedy)
        return
    if isinstance(points, Unseen):
        yield unseen("", points.why)
        return
    limit = 2 * settings.schedule.every
    since = evidence.now - timedelta(seconds=limit)
    by_clock = [one for one in points if one.reason == REASON and since < taken(one) <= evidence.now + AHEAD]
    if by_clock:
        newest = max(by_clock, key=taken)
        yield fine("", f"installed elsewhere: backup {newest.number} was taken by the clock at {newest.created_at}")
    elif evidence.age <= limit:
        young = f"the first run that hosts remember was {evidence.age / 3600:.1f} h ago"
        yield beside_the_point("", f"{nowhere}, and none is overdue yet: {young}")
    else:
        told = f"{nowhere}, and no backup was taken by the clock within {limit / 3600:.0f} h"
        yield warning("", told, remedy)


def _installed(found: Schedule, evidence: Evidence, install: Remedy) -> Finding:
    if found.differences:
        told = f"the schedule that is installed here ({found.scheduler}) is not that of hosts/{evidence.name}.yml"
        return warning("", told, install)
    if found.warnings:
        start = Remedy("sudo service cron start", note="or by its own name where it has another")
        return warning("", f"installed on this machine ({found.scheduler}), but {'; '.join(found.warnings)}", start)
    return fine("", f"installed on this machine ({found.scheduler})")
