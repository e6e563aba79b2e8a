"""`inv doctor`: everything that deploys and backups rely on, looked at; what is wrong comes with what to type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fabfile.checks.evidence import Evidence
    from fabfile.model.finding import Finding

UNWELL = 2
"""The exit code where something is to be done, or could not be looked at."""


@verb(help={"env": ENV, "json": JSON})
def doctor(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Look at all that runs and backups rely on, and say what to type where it is not well; exit 2 unless all is."""
    from fabfile.examination import examine
    from fabfile.session import opened
    from fabfile.ui.findings import findings_document, findings_text, is_green

    with opened(env, reporter, read_only=True) as session:
        found = judged(examine(session))
        reporter.answer(findings_text(found), findings_document(session.name, found))
        if not is_green(found):
            reporter.leave(UNWELL)


def judged(evidence: Evidence) -> dict[str, Sequence[Finding]]:
    """What every check makes of it; one that breaks keeps no other from its word."""
    from fabfile.checks.listing import CHECKS
    from fabfile.model.finding import unseen

    found: dict[str, Sequence[Finding]] = {}
    for name, judge in CHECKS.items():
        try:
            found[name] = tuple(of_environment(one, evidence.name) for one in judge(evidence))
        except Exception as error:
            found[name] = (unseen("", f"internal error: {type(error).__name__}: {error}"),)
    return found


def of_environment(finding: Finding, name: str) -> Finding:
    """The finding, its remedy for the environment that was looked at; an error's hint may leave out which one."""
    command = finding.remedy.command if finding.remedy else ""
    if finding.remedy is None or not command.startswith("inv ") or "--env=" in command:
        return finding
    return replace(finding, remedy=replace(finding.remedy, command=f"{command} --env={name}"))
