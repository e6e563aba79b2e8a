"""`inv migrate.down`: migrations are taken back, by the down files as they were when those were applied."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Refused
from fabfile.migrations import migration_settings
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, HOTFIX, JSON, LOCK_WAIT, REASON, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabfile.engine.run import Run
    from fabfile.model.migration import Applied
    from fabfile.model.observed import Observed
    from fabfile.session import Session


@verb(
    help={
        "env": ENV,
        "to": "the version that stays the newest one; 0: take back all. Default: take back the newest alone",
        "hotfix": HOTFIX,
        "reason": REASON,
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def down(
    reporter: Reporter,
    env: str | None = None,
    to: str | None = None,
    hotfix: bool = False,
    reason: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Take back the newest migration, or all above a version, by the down files that were applied with them."""
    from fabfile.admission import hotfix_reason
    from fabfile.session import opened

    if to is not None and not to.isdecimal():
        raise BadInput(f"--to={to}: a version is a number", "write --to=12; inv migrate.status shows them")
    why, wait = hotfix_reason(hotfix, reason), duration(lock_wait, "--lock-wait")
    with opened(env, reporter) as session:
        migration_settings(session.environment, session.name)
        go_down(session, int(to) if to is not None else None, why, wait, yes)


def go_down(session: Session, to: int | None, hotfix: str, wait: float, yes: bool) -> None:
    """Take back what `to_take_back` chooses, and nothing else if that has changed once the lease is held."""
    from fabfile.admission import admit
    from fabfile.migrations import told_what_stays
    from fabfile.planning.unfinished import refuse_if_unfinished

    rows = _chosen(session, session.observe(), to)
    names = [row.name for row in rows]
    if not rows:
        return session.reporter.answer("nothing to take back", {"taken_back": []})
    lost = f"{', '.join(names)} is about to be taken back from {session.name}; what only they hold is lost."
    session.confirm(yes, lost, always=True)
    with session.lease("migrate-down", f"take back {names[-1]}", wait) as run, told_what_stays():
        observed = session.observe()
        refuse_if_unfinished(observed)
        if _chosen(session, observed, to) != rows:
            raise Refused("other migrations are applied by now, so nothing was taken back", "inv migrate.status")
        admit(session, run, subject(rows), lambda: digest(rows), hotfix)
        _take_back(session, rows, run)
    return session.reporter.answer(f"taken back: {', '.join(names)}", {"taken_back": names})


def subject(rows: Sequence[Applied]) -> str:
    """What people approve is called: from the newest to the oldest that is taken back."""
    return "down-" + "-to-".join(dict.fromkeys((rows[0].name, rows[-1].name)))


def digest(rows: Sequence[Applied]) -> str:
    """The SHA-256 of everything that is about to run."""
    return hashlib.sha256("\0".join(text for row in rows for text in (row.name, row.down or "")).encode()).hexdigest()


def _chosen(session: Session, observed: Mapping[str, Observed], to: int | None) -> list[Applied]:
    from fabfile.migrations import running
    from fabfile.planning.migrations import to_take_back

    return to_take_back(session.ledger.applied(), to, running(session, observed))


def _take_back(session: Session, rows: Sequence[Applied], run: Run) -> None:
    from fabfile.engine.step import OperatorStep

    def work(run: Run) -> None:
        for row in rows:
            session.ledger.take_back(row, session.reporter.say)

    OperatorStep("migrate-down", "take migrations back", session.environment.app_hosts, work).do(run)
