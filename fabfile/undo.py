"""`inv rollback --undo`: what the last restore put aside returns, and what is live now is put aside in its place."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.model.restore import Restore
from fabfile.planning.restore_preview import last_restore, runs_since, since, what_differs
from fabfile.planning.unfinished import refuse_if_unfinished
from fabfile.restore import describe_live, exchange, halves, kept_as, refuse_if_gone, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.model.observed import HistoryEntry, Observed
    from fabfile.session import Session


def undo(session: Session, wait: float, yes: bool, folder: Path) -> None:
    """Bring back what the last restore put aside: database, files, and the release that was live then."""
    observed = session.observe()
    refuse_if_unfinished(observed)
    last = last_restore(observed.values())
    assert last.restore
    restore = Restore(last.restore.database, last.restore.files, undoes=last.run, server=last.restore.server)
    refuse_if_gone(session, restore)
    say(session, _preview(session, observed, last))
    session.confirm(yes, f"{session.name} is about to undo the {last.restore.sentence}.", always=True)
    live = {seen.live_release for name, seen in observed.items() if name in session.environment.app_hosts}
    archive = None
    if last.previous and live != {last.previous}:
        try:
            archive = session.kept_release(last.previous, observed, folder)
        except BadInput:
            archive = session.stored_release(last.previous, folder)
    exchange(session, restore, archive, wait, folder)


def _preview(session: Session, observed: Mapping[str, Observed], last: HistoryEntry) -> list[str]:
    restore = last.restore
    assert restore
    live = next((seen.live_release for seen in observed.values() if seen.live_release), "nothing")
    lines = [
        f"the {restore.sentence} by {last.holder} at {last.at} is undone: {halves(restore)} return as they were then",
        f"release: {live} now, {last.previous or live} then",
        f"what was written since the restore is kept aside as {kept_as(session, restore)}: "
        f"{since(last.at, datetime.now(UTC))}; inv rollback --undo again brings it back",
    ]
    if later := runs_since(observed.values(), last):
        lines.append(f"ended since, and left behind as well: {', '.join(later)}")
    saved = next((p for p in session.recovery.catalogue.points() if p.run == last.run and p.database), None)
    if restore.database and saved and saved.database and (live_facts := describe_live(session, lines)):
        lines += [f"rows in backup {saved.number}, taken just before that restore:"]
        lines += what_differs(saved.database.tables, live_facts.tables)
    return lines
