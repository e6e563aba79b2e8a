"""`inv rollback --at=TIME`: the whole database server goes back to a moment, and what was there is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile import restore
from fabfile.model.restore import Restore
from fabfile.planning.deploy_plan import refuse_if_bad
from fabfile.planning.point_in_time import parse_moment
from fabfile.planning.restore_preview import since
from fabfile.planning.unfinished import refuse_if_unfinished

if TYPE_CHECKING:
    from fabfile.session import Session


def to_moment(session: Session, at: str, to: str | None, wait: float, yes: bool, folder: Path) -> None:
    """Go back to a moment once its preview was confirmed; shared files stay, and so does the release unless `to` names
    one that the hosts keep. Raises BadInput for a moment that cannot be reached."""
    engine = session.point_in_time
    cluster = engine.look()
    moment = parse_moment(at, cluster.now)
    base = engine.base_for(cluster, moment)
    observed = session.observe()
    refuse_if_unfinished(observed)
    if to:
        refuse_if_bad(observed, to)
    archive = session.kept_release(to, observed, folder) if to else None
    back = Restore(database=False, files=False, server=True, at=moment.isoformat())
    lines = [
        f"the whole PostgreSQL server goes back to {back.at}, with every database on it: "
        f"{', '.join(cluster.databases)}; from pgBackRest's backup {base.label} and what followed",
        f"release: {to or 'the live one'}; shared files stay as they are",
        f"lost to users: {since(back.at, datetime.now(UTC))}",
        f"kept beside until inv backup.drop-old: {restore.kept_as(session, back)}",
    ]
    restore.say(session, lines)
    session.confirm(yes, f"{session.name} is about to go back to {back.at}.", always=True)
    restore.exchange(session, back, archive, wait, folder)
