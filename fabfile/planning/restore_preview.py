"""What going back means, before anybody agrees to it: what returns, what is lost, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fabfile.commands.disk import HEADROOM
from fabfile.errors import BadInput, Refused
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.recovery_point import DATABASE, FILES, RELEASE, DatabaseFacts, RecoveryPoint
from fabfile.model.restore import Restore

TABLES = 20
"""Lines about tables that a preview has at most."""


@dataclass(frozen=True)
class Choice:
    """What is exchanged, whether the release goes back too, and what somebody might have expected beside it."""

    restore: Restore
    release: bool
    notes: tuple[str, ...] = ()


def choose(point: RecoveryPoint, files_only: bool, db_only: bool, has_database: bool) -> Choice:
    """What a backup brings back: all that it holds, or the one half that is wanted.

    `has_database` is whether the environment has one. Raises BadInput where the backup has nothing of what is wanted.
    """
    number, elsewhere = point.number, "choose another: inv backup.list"
    server = point.pgbackrest is not None
    database = server or point.part(DATABASE) is not None
    files = any(part.name.startswith(FILES) for part in point.objects)
    release = point.part(RELEASE) is not None
    if db_only and not database:
        raise BadInput(f"backup {number} is of kind {point.kind} and holds no database", elsewhere)
    if files_only and not files:
        raise BadInput(f"backup {number} is of kind {point.kind} and holds no shared files", elsewhere)
    database, files, release = (
        database and not files_only,
        files and not db_only,
        release and not (files_only or db_only),
    )
    if not (database or files):
        raise BadInput(f"backup {number} holds neither a database nor shared files", "inv rollback --to=RELEASE")
    if database and not has_database:
        raise BadInput(
            f"backup {number} holds a database, and the environment has none",
            "add a database section to the environment's file, or bring back the files alone: --files-only",
        )
    lacking = [
        name for name, there in (("database", database), ("shared files", files), ("release", release)) if not there
    ]
    restore = Restore(database and not server, files, point.number, server=database and server)
    if files_only or db_only or not lacking:
        return Choice(restore, release)
    note = f"backup {number} is of kind {point.kind}: no {' and no '.join(lacking)} in it, so that stays as it is"
    return Choice(restore, release, (note,))


def span(seconds: float) -> str:
    """A time that passed, in its largest unit, such as `3 h`."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"


def since(moment: str, now: datetime) -> str:
    """`everything written since <moment>: 3 h`; the moment is ISO 8601 with a zone, and so is what `now` knows."""
    passed = span((now - datetime.fromisoformat(moment)).total_seconds())
    return f"everything written since {moment}: {passed}"


def what_differs(then: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Rows per table that differ, the biggest losses first, and their sum; one line if the numbers are all the same."""
    changes = {
        table: then.get(table, 0) - now.get(table, 0) for table in {*then, *now} if then.get(table) != now.get(table)
    }
    if not changes:
        return [f"all {len(now)} tables have as many rows now as then (what they say may differ)"]
    shown = sorted(changes, key=lambda table: (changes[table], table))[:TABLES]
    rows = [("table", "then", "now", "change")]
    rows += [(table, _rows(then, table), _rows(now, table), f"{changes[table]:+d}") for table in shown]
    if left := len(changes) - len(shown):
        rows.append((f"and {left} more tables", "", "", f"{sum(changes.values()) - sum(changes[t] for t in shown):+d}"))
    rows.append(("all tables", str(sum(then.values())), str(sum(now.values())), f"{sum(changes.values()):+d}"))
    return aligned(rows)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table as lines: words first, numbers after them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def refuse_if_no_room(what: str, needed: int, free: int | None) -> None:
    """Raise Refused where a second copy of this does not fit; both are in bytes, `free` is None where nobody knows."""
    if free is not None and free < needed + HEADROOM:
        raise Refused(
            f"no space for a second copy of {what}: {free >> 20} MiB free, {(needed + HEADROOM) >> 20} MiB needed",
            "free some on that disk; inv backup.drop-old shows what earlier restores keep",
        )


def last_restore(observed: Iterable[Observed]) -> HistoryEntry:
    """The newest restore in any host's history that put something aside. Raises Refused where there is none."""
    entries = (entry for seen in observed for entry in seen.history if entry.verb != "recover")
    restores = [entry for entry in entries if entry.restore and entry.run]
    if not restores:
        raise Refused(
            "there is nothing to undo: none of the last runs put files or rows aside to bring others back",
            "inv rollback goes back to the other slot's release, inv rollback --backup=N to a backup",
        )
    return max(restores, key=lambda entry: (entry.at, entry.run))


def runs_since(observed: Iterable[Observed], last: HistoryEntry) -> list[str]:
    """The runs that ended after that one, oldest first, as `deploy of 2.0`."""
    later = {entry for seen in observed for entry in seen.history if entry.at >= last.at and entry.run != last.run}
    return [f"{entry.verb} of {entry.release}" for entry in sorted(later, key=lambda entry: (entry.at, entry.run))]


def refuse_if_files_gone(run: str, hosts: Sequence[str], kept: Mapping[str, Mapping[str, int]]) -> None:
    """Raise Refused unless each of these hosts still keeps the files that the run put aside."""
    if lacking := [name for name in hosts if run not in kept[name]]:
        raise Refused(
            f"{', '.join(lacking)}: the files from before run {run} are not kept any more, so it cannot be undone",
            "the safety backup of that run holds them: inv backup.list",
        )


def _rows(tables: Mapping[str, int], table: str) -> str:
    return str(tables[table]) if table in tables else "none"


def _major(facts: DatabaseFacts) -> int:
    head = facts.server_version.partition(".")[0]
    return int(head) if head.isdigit() else 0
