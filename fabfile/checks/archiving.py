"""Whether every change to the database is archived, where pgBackRest does that."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, beside_the_point, critical, fine, here, unseen


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs what PostgreSQL says of its archiver."""
    settings, found = evidence.environment.database, evidence.archiving
    if settings is None or settings.engine != "pgbackrest":
        yield beside_the_point("", "database.engine is not pgbackrest")
    elif isinstance(found, Unseen) and found.kind != "failed":
        yield unseen(settings.via, found.why, found.remedy)
    elif found:
        remedy = here("inv", "backup.pitr-check", f"--env={evidence.name}", note="it says more")
        yield critical(settings.via, found.why if isinstance(found, Unseen) else found, remedy)
    else:
        yield fine(settings.via, "every change is archived")
