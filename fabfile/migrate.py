"""`inv migrate` and `inv migrate.status`: the database's schema without a deploy, and how it stands."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, Refused
from fabfile.migrations import migration_settings
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, HOTFIX, JSON, LOCK_WAIT, REASON, YES, duration, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.artifact.archive import Release
    from fabfile.engine.run import Run
    from fabfile.model.migration import Migration
    from fabfile.model.observed import Observed
    from fabfile.model.script import Script
    from fabfile.planning.migrations import Due
    from fabfile.session import Session

RELEASE = "release file or id whose migrations are meant; default: the one that is live"
COLUMNS = ("VERSION", "NAME", "PHASE", "STATE", "APPLIED (UTC)", "SECONDS", "FROM", "DOWN")


@dataclass(frozen=True)
class Wishes:
    """What flags ask of a migration; `hotfix` is why it cannot wait, or nothing, `lock_wait` in seconds."""

    release: str | None
    plan: bool
    over_contract: bool
    skip_backup: bool
    hotfix: str
    lock_wait: float
    yes: bool


@verb(
    help={
        "env": ENV,
        "release": RELEASE,
        "plan": "only show what would be applied; exit 2 when that is anything",
        "over_contract": "contract migrations as well that would wait for the release, though another one runs",
        "skip_backup": "do not take the backup that the environment asks for before deploys",
        "hotfix": HOTFIX,
        "reason": REASON,
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
    hotfix: bool = False,
    reason: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Apply the pending migrations of a release, without a deploy; of the live one, contract migrations as well."""
    from fabfile.admission import hotfix_reason
    from fabfile.session import opened

    why, wait = hotfix_reason(hotfix, reason), duration(lock_wait, "--lock-wait")
    wishes = Wishes(release, plan, over_contract, skip_backup, why, wait, yes)
    with opened(env, reporter, read_only=plan) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        if session.environment.release.migrate and not session.environment.migrations:
            return run_command(session, wishes)
        migration_settings(session.environment, session.name)
        return apply_files(session, wishes, Path(folder))


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


def apply_files(session: Session, wishes: Wishes, folder: Path) -> None:
    """What the release brings along and the database has not had."""
    from fabfile.admission import foretell_admission
    from fabfile.migrations import told_what_stays

    observed = session.observe()
    archive = _archive(session, observed, wishes.release, folder)
    found = _due(session, archive, observed, wishes)
    if not found.before:
        return _answer(session, archive, "applied", found)
    if wishes.plan:
        foretell_admission(session, "migrate")
        _answer(session, archive, "to be applied", found)
        return session.reporter.leave(2)
    names = ", ".join(_names(found.before))
    session.confirm(wishes.yes, f"{names} is about to be applied to the database of {session.name}.")
    reason = f"migrate to {archive.manifest.id}"
    with session.lease("migrate", reason, wishes.lock_wait) as run, told_what_stays():
        found = _due(session, archive, session.observe(), wishes)
        if found.before:
            _apply(session, archive, found.before, wishes, run)
    return _answer(session, archive, "applied", found)


def _archive(session: Session, observed: Mapping[str, Observed], release: str | None, folder: Path) -> Release:
    """The release that is named, or the one that every host serves, with its archive. Raises BadInput, Refused."""
    from fabfile.artifact.kept import fetch_kept
    from fabfile.migrations import live_releases

    live = live_releases(session, observed)
    if release is None and not live:
        raise BadInput(f"{session.name} serves nothing yet", "inv deploy migrates as well; or name one: --release=ID")
    if release is None and len(live) > 1:
        raise Refused(f"the hosts serve {' and '.join(live)}", "name one: --release=ID; or: inv deploy.catch-up")
    identity = release or live[0]
    hosts = [session.fleet[name] for name, seen in observed.items() if identity in seen.releases]
    if not hosts:
        return session.open_release(identity, folder)
    with suppress(BadInput):
        return session.local_release(identity)
    return fetch_kept(hosts, session.paths, identity, folder, whole=True)


def _due(session: Session, archive: Release, observed: Mapping[str, Observed], wishes: Wishes) -> Due:
    from fabfile.migrations import due
    from fabfile.planning.unfinished import refuse_if_unfinished

    refuse_if_unfinished(observed)
    found = due(session, archive, observed, over_contract=wishes.over_contract)
    assert found, "there is a migrations section"
    return found


def _apply(session: Session, archive: Release, wanted: tuple[Migration, ...], wishes: Wishes, run: Run) -> None:
    """Under the lease: let in what may go on, take the backup that the environment asks for, and apply."""
    from fabfile.admission import admit
    from fabfile.engine.step import OperatorStep
    from fabfile.steps.recovery import described, save

    backup, identity = session.environment.backup, archive.manifest.id
    admit(session, run, identity, lambda: archive.manifest.digest, wishes.hotfix)
    if backup and backup.before_deploy and not wishes.skip_backup:
        point = save(session.recovery, "database", f"before migration to {identity}", run.id, None)
        session.reporter.say(described(point))

    def work(run: Run) -> None:
        session.ledger.apply(wanted, identity, run.id, session.reporter.say)

    OperatorStep("migrate", "migrate the database", session.environment.app_hosts, work).do(run)


def run_command(session: Session, wishes: Wishes) -> None:
    """The application's own command, from the live slot of the first host that runs it."""
    from fabfile.admission import admit, foretell_admission
    from fabfile.migrations import told_what_stays
    from fabfile.planning.unfinished import refuse_if_unfinished

    host, command = session.environment.app_hosts[0], session.environment.release.migrate
    if wishes.release is not None:
        raise BadInput(
            "release.migrate runs from the live slot; only SQL files have --release", "inv deploy runs it first"
        )
    release, _ = _command(session, session.observe()[host])
    words, document = " ".join(command), {"host": host, "release": release, "command": command}
    if wishes.plan:
        foretell_admission(session, "migrate")
        session.reporter.answer(f"{host} would run: {words}", document)
        return session.reporter.leave(2)
    session.confirm(wishes.yes, f"{words} is about to run on {host}, from {release}.")
    with suppress(BadInput):  # not needed here, but what the command says may hold them
        _ = session.sources
    with session.lease("migrate", f"run {words}", wishes.lock_wait) as run, told_what_stays():
        observed = session.observe()
        refuse_if_unfinished(observed)
        now, script = _command(session, observed[host])
        if now != release:
            raise Refused(f"{host} serves {now} by now, not {release}", "look again: inv migrate")
        admit(session, run, release, lambda: session.kept_digest(release), wishes.hotfix)
        done = run.on_hosts("migrate", {host: script})[host]
    for line in done.stdout.strip().splitlines()[-5:]:
        session.reporter.say(line)
    return session.reporter.answer(f"{host} ran: {words}", document)


def _command(session: Session, seen: Observed) -> tuple[str, Script]:
    """The release that is live on a host, and its own migration. Raises BadInput where there is none."""
    from fabfile.commands.release import migrate as command
    from fabfile.rendering import slot_variables

    environment = session.environment
    live = seen.slots[seen.live] if seen.live else None
    if seen.live is None or live is None or live.release is None or live.port is None:
        raise BadInput(f"{seen.host}: no release is live there", "inv deploy runs release.migrate as well")
    variables = slot_variables(environment, seen.live, environment.address_of(seen.host), live.port, live.release)
    words, limit = environment.release.migrate, environment.release.migrate_timeout
    return live.release, command(session.paths, seen.live, words, variables, seen.tools.get("node", "node"), limit)


def _names(migrations: tuple[Migration, ...]) -> list[str]:
    return [migration.name for migration in migrations]


def _answer(session: Session, archive: Release, what: str, found: Due) -> None:
    identity, names, waiting = archive.manifest.id, _names(found.before), _names(found.after)
    said = f"{what}: {', '.join(names)}" if names else "nothing to apply"
    wait = f"; {', '.join(waiting)} (contract) waits until {identity} is live everywhere" if waiting else ""
    document = {"release": identity, "migrations": names, "waiting": waiting}
    session.reporter.answer(f"{session.name}, {identity}: {said}{wait}", document)


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
