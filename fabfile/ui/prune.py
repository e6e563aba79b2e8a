"""What retention decides as people read it: every backup with what becomes of it and why."""

from __future__ import annotations

from fabfile.model.recovery_point import RELEASE
from fabfile.planning.retention import Prune
from fabfile.ui.reporter import Reporter

COLUMNS = ("NUMBER", "TAKEN (UTC)", "KIND", "DECISION", "WHY")


def show(reporter: Reporter, plan: Prune, deleted: bool) -> None:
    """The table, and what it comes to; `deleted` when it was carried out already."""
    for note in plan.notes:
        reporter.say(note)
    word = "deleted" if deleted else "delete"
    rows = [
        [str(j.point.number), j.point.created_at, j.point.kind, "keep" if j.keep else word, j.why]
        for j in plan.judgements
    ]
    rows += [[str(u.number), "-", "-", word, f"unfinished, {len(u.keys)} objects left over"] for u in plan.unlisted]
    rows += [["-", "-", "release", word, f"{archive.release}: no backup has it"] for archive in plan.archives]
    reporter.table(COLUMNS, rows, document(plan, deleted), "there are no backups: inv backup")
    if plan.empty:
        reporter.say("nothing to delete")
    else:
        size = f"{freed(plan) / 1e6:.2f} MB"
        reporter.say(f"{size} deleted" if deleted else f"{size} to delete; do it: inv backup.prune --yes")


def document(plan: Prune, deleted: bool) -> dict[str, object]:
    """The same as one JSON document."""
    return {
        "deleted": deleted,
        "bytes": freed(plan),
        "backups": [
            {
                "number": judged.point.number,
                "created_at": judged.point.created_at,
                "kind": judged.point.kind,
                "keep": judged.keep,
                "why": judged.why,
            }
            for judged in plan.judgements
        ],
        "unfinished": [found.number for found in plan.unlisted],
        "releases": [archive.release for archive in plan.archives],
        "notes": list(plan.notes),
    }


def freed(plan: Prune) -> int:
    """Bytes that are gone afterwards; release archives count for themselves."""
    own = sum(part.size for point in plan.doomed for part in point.objects if part.name != RELEASE)
    return own + sum(found.size for found in plan.unlisted) + sum(archive.size for archive in plan.archives)
