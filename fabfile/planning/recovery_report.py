"""What a recovery came to, once it is over: how long, from which backup, and which rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fabfile.model.recovery_point import RecoveryPoint
from fabfile.planning.restore_preview import TABLES, aligned, span


@dataclass(frozen=True)
class Outcome:
    """What a recovery came to: seconds from its command until users were served (RTO), seconds from its backup's
    snapshot to its command (RPO), the seconds of each step that this process did, and the rows of each table that it
    counted once they were restored (None where an earlier process did)."""

    rto: float
    rpo: float
    phases: Mapping[str, float]
    rows: Mapping[str, int] | None = None


def outcome_lines(point: RecoveryPoint, outcome: Outcome) -> list[str]:
    """The report for people."""
    lines = [
        f"RTO {outcome.rto:.1f} s from the command until users were served",
        f"RPO {span(outcome.rpo)}: everything written since {point.created_at} is lost",
        *(f"  {step.ljust(12)} {seconds:8.1f} s" for step, seconds in outcome.phases.items()),
    ]
    return lines + _rows(point, outcome.rows)


def outcome_document(point: RecoveryPoint, outcome: Outcome) -> dict[str, object]:
    """The report as JSON."""
    tables, counted = point.database.tables if point.database else {}, outcome.rows or {}
    return {
        "backup": point.number,
        "created_at": point.created_at,
        "verified_at": point.verified_at,
        "rto_seconds": round(outcome.rto, 3),
        "rpo_seconds": round(outcome.rpo, 3),
        "phases": {step: round(seconds, 3) for step, seconds in outcome.phases.items()},
        "tables": {name: {"backup": rows, "restored": counted.get(name)} for name, rows in tables.items()},
    }


def _rows(point: RecoveryPoint, counted: Mapping[str, int] | None) -> list[str]:
    if point.database is None:
        return []
    saved = point.database.tables
    if counted is None:
        return [f"the rows of {len(saved)} tables were counted when they were restored, and as in the backup"]
    shown = sorted(saved, key=lambda table: (-saved[table], table))[:TABLES]
    rows = [("table", "in the backup", "restored")]
    rows += [(table, str(saved[table]), str(counted.get(table, 0))) for table in shown]
    rows.append((f"all {len(saved)} tables", str(sum(saved.values())), str(sum(counted.values()))))
    return aligned(rows)
