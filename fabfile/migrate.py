"""`inv migrate`, `.status` and `.down`: the database's schema without a deploy, its state, and the way back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Refused
from fabfile.migrations import migration_settings
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fabfile.artifact.archive import Release
    from fabfile.engine.run import Run
    from fabfile.model.migration import Applied, Migration
    from fabfile.model.observed import Observed
    from fabfile.session import Session

RELEASE = "release file or id whose migrations are meant; default: the one that is live"
COLUMNS = ("VERSION", "NAME", "PHASE", "STATE", "APPLIED (UTC)", "SECONDS", "FROM", "DOWN")


@verb(
    help={
        "env": ENV,
        "release": RELEASE,
        "plan": "only show what would be applied; exit 2 when that is anything",
        "over_contract": "contract migrations as well that would wait for the release, though another one runs",
        "skip_backup": "do not take the backup that the environment asks for before deploys",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    },
    default=True,
)
def migrate(
    reporter: Reporter,
    env: str | None = None,
    release: str | None = None,
    plan: bool = False,
    over_contract: bool = False,
    skip_backup: bool = False,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Apply the pending migrations of a release, without a deploy; of the live one, contract migrations as well."""
    from fabfile.session import opened

    wait = duration(lock_wait, "--lock-wait")
    with opened(env, reporter, read_only=plan) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        observed = session.observe()
        if session.environment.release.migrate and not session.environment.migrations:
            return _by_command(session, observed, release, plan, wait, yes)
        migration_settings(session.environment, session.name)
        archive = _archive(session, observed, release, Path(folder))
        wanted, waiting = map(_names, _due(session, archive, observed, over_contract))
        document = {"release": archive.manifest.id, "migrations": wanted, "waiting": waiting}
        if not wanted:
            return reporter.answer(_told(session, archive, "nothing to apply", waiting), document)
        if plan:
            reporter.answer(_told(session, archive, f"to be applied: {', '.join(wanted)}", waiting), document)
            return reporter.leave(2)
        session.confirm(yes, f"{', '.join(wanted)} is about to be applied to the database of {session.name}.")
        with session.lease("migrate", f"migrate to {archive.manifest.id}", wait) as run:
            wanted = _apply(session, archive, over_contract, skip_backup, run)
        reporter.answer(_told(session, archive, f"applied: {', '.join(wanted)}", waiting), document)
    return None


@verb(help={"env": ENV, "release": RELEASE, "json": JSON})
def status(reporter: Reporter, env: str | None = None, release: str | None = None, json: bool = False) -> None:
    """Show every migration of the release and the database; exit 2 when some are pending, 5 when the two disagree."""
    from fabfile.artifact.migrations import read_release
    from fabfile.planning.migrations import compare, overview, refuse_if_drifted
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        settings = migration_settings(session.environment, session.name)
        archive = _archive(session, session.observe(), release, Path(folder))
        migrations, applied = read_release(archive, settings.folder), session.ledger.applied()
        lines = overview(migrations, applied)
        rows = [_row(line) for line in lines]
        reporter.table(COLUMNS, rows, lines, "no migrations")
        standing = compare(migrations, applied)
        refuse_if_drifted(standing, archive.manifest.id)
        reporter.leave(2 if standing.pending else 0)


@verb(
    help={
        "env": ENV,
        "to": "the version that stays the newest one; 0: take back all. Default: take back the newest alone",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def down(
    reporter: Reporter,
    env: str | None = None,
    to: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Take back the newest migration, or all above a version, by the down files that were applied with them."""
    from fabfile.planning.unfinished import refuse_if_unfinished
    from fabfile.session import opened

    if to is not None and not to.isdecimal():
        raise BadInput(f"--to={to}: a version is a number", "write --to=12; inv migrate.status shows them")
    with opened(env, reporter) as session:
        migration_settings(session.environment, session.name)
        names = [row.name for row in _taken_back(session, session.observe(), to)]
        if not names:
            return reporter.answer("nothing to take back", {"taken_back": []})
        lost = f"{', '.join(names)} is about to be taken back from {session.name}; what only they hold is lost."
        session.confirm(yes, lost, always=True)
        with session.lease("migrate-down", f"take back {names[-1]}", duration(lock_wait, "--lock-wait")) as run:
            observed = session.observe()
            refuse_if_unfinished(observed)
            rows = _taken_back(session, observed, to)
            _take_back(session, rows, run)
            names = [row.name for row in rows]
        reporter.answer(f"taken back: {', '.join(names)}", {"taken_back": names})
    return None


def _archive(session: Session, observed: Mapping[str, Observed], release: str | None, folder: Path) -> Release:
    """The release that is named, or the one that every host serves, with its archive. Raises BadInput, Refused."""
    from contextlib import suppress

    from fabfile.artifact.kept import fetch_kept
    from fabfile.migrations import live_releases

    live = live_releases(session, observed)
    if release is None and not live:
        raise BadInput(f"{session.name} serves nothing yet", "inv deploy migrates as well; or name one: --release=ID")
    if release is None and len(live) > 1:
        raise Refused(f"the hosts serve {' and '.join(live)}", "name one: --release=ID; or: inv deploy.catch-up")
    identity = release or live[0]
    with suppress(BadInput):
        return session.local_release(identity)
    hosts = [session.fleet[name] for name, seen in observed.items() if identity in seen.releases]
    return fetch_kept(hosts, session.paths, identity, folder, whole=True)


def _due(
    session: Session, archive: Release, observed: Mapping[str, Observed], over_contract: bool
) -> tuple[tuple[Migration, ...], tuple[Migration, ...]]:
    from fabfile.migrations import due
    from fabfile.planning.unfinished import refuse_if_unfinished

    refuse_if_unfinished(observed)
    found = due(session, archive, observed, over_contract=over_contract)
    assert found, "there is a migrations section"
    return found.before, found.after


def _apply(session: Session, archive: Release, over_contract: bool, skip_backup: bool, run: Run) -> list[str]:
    """Under the lease: look again, take the backup that the environment asks for, and apply."""
    from fabfile.engine.step import OperatorStep
    from fabfile.steps.recovery import described, save

    wanted, _ = _due(session, archive, session.observe(), over_contract)
    backup, identity = session.environment.backup, archive.manifest.id
    if wanted and backup and backup.before_deploy and not skip_backup:
        point = save(session.recovery, "database", f"before migration to {identity}", run.id, None)
        session.reporter.say(described(point))

    def work(run: Run) -> None:
        session.ledger.apply(wanted, identity, run.id, session.reporter.say)

    OperatorStep("migrate", "migrate the database", session.environment.app_hosts, work).do(run)
    return _names(wanted)


def _taken_back(session: Session, observed: Mapping[str, Observed], to: str | None) -> list[Applied]:
    from fabfile.migrations import running
    from fabfile.planning.migrations import to_take_back

    down_to = int(to) if to is not None else None
    return to_take_back(session.ledger.applied(), down_to, running(session, observed))


def _take_back(session: Session, rows: Sequence[Applied], run: Run) -> None:
    from fabfile.engine.step import OperatorStep

    def work(run: Run) -> None:
        for row in rows:
            session.ledger.take_back(row, session.reporter.say)

    OperatorStep("migrate-down", "take migrations back", session.environment.app_hosts, work).do(run)


def _by_command(
    session: Session, observed: Mapping[str, Observed], release: str | None, plan: bool, wait: float, yes: bool
) -> None:
    """The application's own command, from the live slot of the first host that runs it."""
    from fabfile.commands.release import migrate as command
    from fabfile.planning.unfinished import refuse_if_unfinished
    from fabfile.rendering import slot_variables

    settings, host = session.environment.release, session.environment.app_hosts[0]
    seen = observed[host]
    live = seen.slots[seen.live] if seen.live else None
    if release is not None:
        raise BadInput(
            "release.migrate runs from the live slot; only SQL files have --release", "inv deploy runs it first"
        )
    if seen.live is None or live is None or live.release is None or live.port is None:
        raise BadInput(f"{host}: no release is live there", "inv deploy runs release.migrate as well")
    words, document = " ".join(settings.migrate), {"host": host, "release": live.release, "command": settings.migrate}
    if plan:
        session.reporter.answer(f"{host} would run: {words}", document)
        return session.reporter.leave(2)
    session.confirm(yes, f"{words} is about to run on {host}, from {live.release}.")
    variables = slot_variables(
        session.environment, seen.live, session.environment.address_of(host), live.port, live.release
    )
    node = seen.tools.get("node", "node")
    script = command(session.paths, seen.live, settings.migrate, variables, node, settings.migrate_timeout)
    with session.lease("migrate", f"run {words}", wait) as run:
        refuse_if_unfinished(session.observe())
        done = run.on_hosts("migrate", {host: script})[host]
    for line in done.stdout.strip().splitlines()[-5:]:
        session.reporter.say(line)
    return session.reporter.answer(f"{host} ran: {words}", document)


def _names(migrations: tuple[Migration, ...]) -> list[str]:
    return [migration.name for migration in migrations]


def _told(session: Session, archive: Release, what: str, waiting: list[str]) -> str:
    wait = f"; {', '.join(waiting)} (contract) waits until {archive.manifest.id} is live everywhere" if waiting else ""
    return f"{session.name}, {archive.manifest.id}: {what}{wait}"


def _row(line: Mapping[str, object]) -> list[str]:
    seconds = line["seconds"]
    return [
        str(line["version"]),
        str(line["name"]),
        str(line["phase"]),
        str(line["state"]),
        str(line["at"] or "-"),
        f"{seconds:.1f}" if isinstance(seconds, float) else "-",
        str(line["release"] or "-"),
        "yes" if line["down"] else "no",
    ]
