"""Whether the database's log tells afterwards who came in, and who changed the schema; runs leave a history anyway."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.database import alter
from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, beside_the_point, fine, unseen, warning

WANTED = {"log_connections": "on", "log_statement": "ddl"}
"""The least that tells it; pgAudit, where it is, may tell the second."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the parameters of the server's log, as they are for sessions like ours."""
    settings, found = evidence.environment.database, evidence.database
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no database")
    elif not evidence.public:
        yield beside_the_point(settings.via, "nobody's data are there (site.server_name is _, and it is not protected)")
    elif isinstance(found, Unseen):
        yield unseen(settings.via, found.why)
    elif found.unlogged:
        told = f"the log of PostgreSQL tells too little to find out who did it: {', '.join(found.unlogged)} not on"
        note = "a password that is written into ALTER ROLE is logged, too: psql's \\password sends none"
        yield warning(settings.via, told, alter(settings, {name: WANTED[name] for name in found.unlogged}, note))
    else:
        yield fine(settings.via, "PostgreSQL logs who comes in, and who changes the schema")
