"""`inv backup` and its family: database, files and release under one stable number, in S3."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fabfile.planning.restore_preview import span
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, duration, verb

if TYPE_CHECKING:
    from fabfile.model.recovery_point import RecoveryPoint


@verb(
    help={"env": ENV, "reason": "why, as inv backup.list will show it", "lock_wait": LOCK_WAIT, "json": JSON},
    name="create",
    default=True,
)
def create(
    reporter: Reporter,
    env: str | None = None,
    reason: str = "by hand",
    lock_wait: str = "10m",
    json: bool = False,
) -> None:
    """Back up the database, the shared files and the live release to S3, under the next number."""
    from fabfile.session import opened
    from fabfile.steps.recovery import described, save

    with opened(env, reporter) as session:
        scope = session.recovery
        with session.lease("backup", reason, duration(lock_wait, "--lock-wait")):
            live = {seen.live_release for seen in session.observe().values()}
            if len(live) > 1:
                reporter.say("the hosts serve different releases, so this backup holds none: database and files only")
            release = live.pop() if len(live) == 1 else None
            point = save(scope, "full", reason.strip() or "by hand", session.run_id, release)
        reporter.answer(described(point), asdict(point))


@verb(help={"env": ENV, "json": JSON}, name="list")
def list_backups(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the backups that can be restored, newest first, by the number that rollback --backup takes."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        listing = session.recovery.catalogue.listing()
        for number in listing.damaged:
            reporter.say(f"backup {number} is damaged: a part is missing or has another size; it is not listed")
        rows = [
            [
                str(p.number),
                p.created_at,
                age(p),
                p.kind,
                f"{p.size / 1e6:.2f} MB",
                p.release or "-",
                tried(p),
                p.reason,
            ]
            for p in listing.points
        ]
        columns = ("NUMBER", "TAKEN (UTC)", "AGE", "KIND", "SIZE", "RELEASE", "VERIFIED", "REASON")
        document = [asdict(point) for point in listing.points]
        reporter.table(columns, rows, document, f"no backups of {session.name} yet: inv backup")


def tried(point: RecoveryPoint) -> str:
    """What came of restoring a backup, for a column: the day when it was right, or that it was not."""
    found = point.verification
    return "-" if found is None else found.at[:10] if found.outcome == "passed" else f"FAILED {found.at[:10]}"


def age(point: RecoveryPoint, now: datetime | None = None) -> str:
    """How long ago a backup was taken, in its largest unit, such as `3 h`."""
    return span(((now or datetime.now(UTC)) - datetime.fromisoformat(point.created_at)).total_seconds())
