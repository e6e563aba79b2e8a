"""Whether pg_dump, where it runs, is no older than the server, which it would refuse to dump."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import NOT_ASKED, Evidence, Unseen
from fabfile.model.finding import Finding, as_root, beside_the_point, critical, fine, unseen


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the server's version, and that of pg_dump on `database.via`."""
    settings, found = evidence.environment.database, evidence.database
    if settings is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no database")
        return
    host = evidence.hosts.get(settings.via, NOT_ASKED)
    if isinstance(found, Unseen):
        yield unseen(settings.via, found.why)
        return
    if isinstance(host, Unseen):
        yield unseen(settings.via, host.why)
        return
    needed, version = _major(found.version), host.pg_dump_version
    remedy = as_root(settings.via, f"apt-get install postgresql-client-{needed}")
    if not version:
        yield critical(settings.via, "pg_dump is not installed", remedy)
    elif _major(version) < needed:
        yield critical(settings.via, f"pg_dump {version} is older than the server, PostgreSQL {found.version}", remedy)
    else:
        yield fine(settings.via, f"pg_dump {version} for PostgreSQL {found.version}")


def _major(version: str) -> int:
    return int("".join(letter for letter in version.partition(".")[0] if letter.isdigit()) or 0)
