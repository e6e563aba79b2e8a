"""Whether the newest backup, and the newest that was restored for a test, are young enough."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, beside_the_point, critical, fine, here, unseen, warning
from fabfile.planning.freshness import judge as judge_ages


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the list of backups; limits are those of `inv backup.check`. An environment that is younger than a limit
    has missed nothing yet."""
    settings, points = evidence.environment.backup, evidence.points
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no backup section")
        return
    if isinstance(points, Unseen):
        yield unseen("", points.why)
        return
    limit, verified_limit = 2 * settings.schedule.every, settings.schedule.alert_after
    found = judge_ages(points, evidence.now, limit, verified_limit)
    env = f"--env={evidence.name}"
    old = found.newest_age is None or found.newest_age > limit
    untried = found.verified_age is None or found.verified_age > verified_limit
    if old and (found.newest is not None or evidence.age > limit):
        yield critical("", found.sentence, here("inv", "backup", env))
    elif untried and (found.verified is not None or evidence.age > verified_limit):
        # The newest of all may be one of a part, which counts for nothing here.
        verify = here("inv", "backup.verify", f"--backup={found.newest}", env)
        yield warning("", found.sentence, verify if found.newest else here("inv", "backup", env))
    elif old or untried:
        young = f"the first run that hosts remember was {evidence.age / 3600:.1f} h ago"
        yield beside_the_point("", f"not due yet, {young}: {found.sentence}")
    else:
        yield fine("", found.sentence)
