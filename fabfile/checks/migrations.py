"""Whether the database has had every migration of the release that is live."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, beside_the_point, fine, here, unseen, warning


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs the versions table, and the files of the releases that are live on the hosts that were seen."""
    found = evidence.pending
    if evidence.environment.migrations is None:
        yield beside_the_point("", f"hosts/{evidence.name}.yml has no migrations section")
    elif isinstance(found, Unseen):
        yield unseen("", found.why, found.remedy)
    elif not set(evidence.seen) & set(evidence.environment.app_hosts):
        yield unseen("", "no host was seen, so nobody tells which release is live")
    elif found:
        numbers = ", ".join(str(version) for version, _ in sorted(found))
        told = f"the live release has migrations that the database has not had: {numbers}"
        note = "inv migrate.status shows them"
        yield warning("", told, here("inv", "migrate", f"--env={evidence.name}", note=note))
    else:
        yield fine("", "the database has had every migration of the live release")
