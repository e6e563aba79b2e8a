"""`inv backup` and its family: database, files and release under one stable number, in S3, for as long as wanted."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.planning.restore_preview import span
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, duration, one_line, verb

if TYPE_CHECKING:
    from fabfile.model.recovery_point import Kind, RecoveryPoint

FLAGS = {
    "env": ENV,
    "reason": "why, as inv backup.list will show it",
    "label": "what to call it; inv backup.list shows it instead of the reason",
    "keep_forever": "never let inv backup.prune delete it; inv backup.keep changes that later",
    "lock_wait": LOCK_WAIT,
    "json": JSON,
}
COLUMNS = ("NUMBER", "TAKEN (UTC)", "AGE", "KIND", "SIZE", "RELEASE", "VERIFIED", "KEPT", "FOR", "RUN")


def _full(
    reporter: Reporter,
    env: str | None = None,
    reason: str = "by hand",
    label: str = "",
    keep_forever: bool = False,
    lock_wait: str = "10m",
    json: bool = False,
) -> None:
    """Back up the database, the shared files and the live release to S3, under the next number."""
    _take(reporter, env, "full", reason, label, keep_forever, lock_wait)


create = verb(help=FLAGS, name="create", default=True)(_full)
create_full = verb(help=FLAGS, name="create-full")(_full)


@verb(help=FLAGS, name="create-db")
def create_db(
    reporter: Reporter,
    env: str | None = None,
    reason: str = "by hand",
    label: str = "",
    keep_forever: bool = False,
    lock_wait: str = "10m",
    json: bool = False,
) -> None:
    """Back up the database alone to S3, under the next number."""
    _take(reporter, env, "database", reason, label, keep_forever, lock_wait)


@verb(help={"env": ENV, "json": JSON}, name="copy")
def copy_missing(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Bring the second bucket every backup that it lacks, as inv backup does after each one that it takes."""
    from fabfile.session import opened
    from fabfile.steps.recovery import complete_copy

    with opened(env, reporter, read_only=True) as session:
        scope = session.recovery
        if scope.copy is None:
            raise BadInput(f"hosts/{session.name}.yml has no backup.copy", "hosts/example.yml shows one")
        brought = complete_copy(scope)
        reporter.answer(f"{len(brought)} backups brought to the second bucket", {"brought": brought})


@verb(help={"env": ENV, "json": JSON}, name="list")
def list_backups(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the backups that can be restored, newest first, by the number that rollback --backup takes."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        listing = session.recovery.catalogue.listing()
        for number in listing.damaged:
            reporter.say(f"backup {number} is damaged: a part is missing or has another size; it is not listed")
        rows = [_row(point) for point in listing.points]
        document = [asdict(point) for point in listing.points]
        reporter.table(COLUMNS, rows, document, f"no backups of {session.name} yet: inv backup")


@verb(
    help={
        "number": "a backup's number, or latest",
        "forever": "from now on; --no-forever: as long as backup.retention says",
        "env": ENV,
        "json": JSON,
    }
)
def keep(reporter: Reporter, number: str, forever: bool = True, env: str | None = None, json: bool = False) -> None:
    """Keep a backup forever, whatever backup.retention says; with --no-forever no longer."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        catalogue = session.recovery.catalogue
        point = catalogue.record_kept(catalogue.find(number), forever)
        how = "is kept forever" if forever else "is kept as long as backup.retention says"
        reporter.answer(f"backup {point.number} {how}", asdict(point))


@verb(
    help={
        "yes": "delete; without it, only show what would be deleted, and exit 2 if that is anything",
        "env": ENV,
        "lock_wait": LOCK_WAIT,
        "json": JSON,
    }
)
def prune(
    reporter: Reporter, yes: bool = False, env: str | None = None, lock_wait: str = "10m", json: bool = False
) -> None:
    """Show which backups backup.retention gives up, and why; with --yes delete them and what they leave behind."""
    from fabfile.planning.retention import plan_prune
    from fabfile.planning.unfinished import find_unfinished
    from fabfile.recovery import pruning
    from fabfile.session import opened
    from fabfile.ui.prune import show

    wait = duration(lock_wait, "--lock-wait")
    with opened(env, reporter, read_only=not yes) as session:
        catalogue, settings = session.recovery.catalogue, session.environment.backup
        assert settings, "where there is a catalogue there is a backup section"
        rules = settings.retention
        if not yes:
            plan = plan_prune(catalogue.holdings(), rules, datetime.now(UTC))
            show(reporter, plan, deleted=False)
            return reporter.leave(0 if plan.empty else 2)
        with session.lease("prune", "delete old backups", wait):
            unfinished = find_unfinished(session.observe())
            restore = unfinished.plan.restore if unfinished else None
            needed = {restore.point} if restore and restore.point else set[int]()
            done = pruning.prune(catalogue, lambda holdings, now: plan_prune(holdings, rules, now, needed))
        show(reporter, done, deleted=True)
    return None


def _take(
    reporter: Reporter,
    env: str | None,
    kind: Kind,
    reason: str,
    label: str,
    keep_forever: bool,
    lock_wait: str,
) -> None:
    from fabfile.session import opened
    from fabfile.steps.recovery import complete_copy, described, save

    reason, label = one_line(reason, "--reason") or "by hand", one_line(label, "--label")
    with opened(env, reporter) as session:
        scope = session.recovery
        with session.lease("backup", reason, duration(lock_wait, "--lock-wait")):
            live = {seen.live_release for seen in session.observe().values()}
            if len(live) > 1:
                reporter.say("the hosts serve different releases, so this backup is of none")
            release = live.pop() if len(live) == 1 else None
            point = save(scope, kind, reason, session.run_id, release, label=label or None, keep_forever=keep_forever)
        complete_copy(scope, point)
        reporter.answer(described(point), asdict(point))


def _row(point: RecoveryPoint) -> list[str]:
    return [
        str(point.number),
        point.created_at,
        age(point),
        point.kind,
        f"{point.size / 1e6:.2f} MB",
        point.release or "-",
        tried(point),
        "forever" if point.keep_forever else "-",
        point.label or point.reason,
        point.run,
    ]


def tried(point: RecoveryPoint) -> str:
    """What came of restoring a backup, for a column: the day when it was right, or that it was not."""
    found = point.verification
    return "-" if found is None else found.at[:10] if found.outcome == "passed" else f"FAILED {found.at[:10]}"


def age(point: RecoveryPoint, now: datetime | None = None) -> str:
    """How long ago a backup was taken, in its largest unit, such as `3 h`."""
    return span(((now or datetime.now(UTC)) - datetime.fromisoformat(point.created_at)).total_seconds())
