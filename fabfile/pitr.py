"""`inv backup.pitr-*`: the server's every change archived by pgBackRest, and copies of it at any moment."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, DatabaseError, Refused, TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb

if TYPE_CHECKING:
    from fabfile.config.database import DatabaseSettings
    from fabfile.database.pgbackrest import PgBackRest
    from fabfile.session import Session

CHANGES = 2
"""The exit code for: there is something to do, and nothing was done."""


@verb(
    help={
        "env": ENV,
        "restart": "restart PostgreSQL where archiving needs that; users are without it for seconds",
        "yes": "carry it out; without it nothing changes",
        "lock_wait": LOCK_WAIT,
        "json": JSON,
    },
    name="pitr-setup",
)
def setup(
    reporter: Reporter,
    env: str | None = None,
    restart: bool = False,
    yes: bool = False,
    lock_wait: str = "0s",
    json: bool = False,
) -> None:
    """Show what lacks for point-in-time recovery on the database's host; with --yes set it up and try it."""
    from fabfile.backends import PROJECT
    from fabfile.config.sources import resolve_repository
    from fabfile.session import opened

    wait = duration(lock_wait, "--lock-wait")
    with opened(env, reporter, read_only=not yes) as session:
        engine, settings = _engine(session)
        assert settings.repository
        secrets = resolve_repository(settings.repository, session.reader)
        reporter.hide([value.get_secret_value() for value in vars(secrets).values()])
        ca = _certificates(session, PROJECT)
        cluster = engine.look()
        preparation = engine.preparation(cluster, secrets, ca, session.templates)
        for line in preparation.lines():
            reporter.say(line)
        document = {"changes": list(preparation.lines()), "restart": preparation.restart}
        if not yes:
            if not preparation.empty:
                reporter.leave(CHANGES)
            todo = "nothing to do" if preparation.empty else "nothing was changed; carry it out: add --yes"
            return reporter.answer(todo, document)
        with session.lease("pitr-setup", "set up point-in-time recovery", wait):
            engine.set_up(cluster, preparation, secrets)
            if preparation.restart and not restart:
                text = "set up, but PostgreSQL must be restarted before anything is archived: add --restart"
                return reporter.answer(text, document)
            if preparation.restart:
                reporter.say(f"restarted PostgreSQL: {engine.restart(cluster):.1f} s without it")
            engine.check(engine.look())
        reporter.answer("every change is archived; take a first backup: inv backup", document)
    return None


@verb(help={"env": ENV, "json": JSON}, name="pitr-check")
def check(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Look whether every change is archived, and from when to when the server can be brought back."""
    from fabfile.model.recovery_point import utc
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        engine, settings = _engine(session)
        cluster = engine.look()
        if problem := engine.problem(cluster):
            hint = (
                f"see /var/log/postgresql and /var/log/pgbackrest on {settings.via}; set up anew: inv backup.pitr-setup"
            )
            raise DatabaseError(f"{settings.via}: {problem}", hint)
        bases = [base for base in engine.bases(cluster) if base.sound]
        if not bases:
            raise DatabaseError(f"{settings.via}: WAL is archived, but there is no backup to apply it to", "inv backup")
        first, last = utc(min(base.stopped_at for base in bases)), utc(cluster.now)
        copies = [one.run for one in engine.beside(engine.place()) if one.purpose == "restore"]
        for run in copies:
            reporter.say(f"beside the server is the copy {run}; remove it: inv backup.pitr-drop --copy={run}")
        archiver = asdict(cluster.archiver)
        document = {"from": first, "to": last, "backups": len(bases), "archiver": archiver, "copies": copies}
        reporter.answer(f"every moment from {first} to {last} can be reached, from {len(bases)} backups", document)


@verb(
    help={
        "env": ENV,
        "at": 'the moment, with its zone: "2026-11-21 03:00 UTC"',
        "json": JSON,
    },
    name="pitr-restore",
)
def restore(reporter: Reporter, at: str, env: str | None = None, json: bool = False) -> None:
    """Make a copy of the server as it was at a moment, running beside it at a port of its own; the live one stays."""
    from fabfile.model.recovery_point import utc
    from fabfile.planning.point_in_time import parse_moment
    from fabfile.session import opened
    from fabfile.storage.port import beside

    with opened(env, reporter) as session:
        engine, settings = _engine(session)
        cluster = engine.look()
        moment = parse_moment(at, cluster.now)
        base = engine.base_for(cluster, moment)
        reporter.say(f"restoring pgBackRest's backup {base.label} and replaying what followed")
        place = engine.place()
        directory = place.beside("restore", session.run_id)
        try:
            copy = engine.copy(cluster, directory, base, moment)
        except BaseException as error:
            try:
                engine.drop(place, directory)
            except TurnoutError as second:
                beside(error, f"and what there is of the copy is still in {directory}: {second.fact}")
            raise
        reached = utc(copy.restored.reached) if copy.restored.reached else "the end of that backup"
        text = "\n".join(
            [
                f"a copy of the server as of {utc(moment)} runs on {settings.via} at port {copy.restored.port}",
                f"its last change is of {reached}; {settings.name} has {copy.restored.tables} tables in it",
                f"look: sudo -u postgres psql -p {copy.restored.port} {settings.name}   (on {settings.via})",
                f"have it take the live server's place, and the application start on it: inv rollback --at={at!r}",
                f"remove it: inv backup.pitr-drop --copy={session.run_id}",
            ]
        )
        reporter.answer(text, {**asdict(copy), "copy": session.run_id, "at": utc(moment)})


@verb(help={"env": ENV, "copy": "the copy's id, as backup.pitr-restore printed it", "yes": YES}, name="pitr-drop")
def drop(reporter: Reporter, copy: str, env: str | None = None, yes: bool = False) -> None:
    """Stop and remove a copy that backup.pitr-restore made."""
    import re

    from fabfile.model.cluster import RUN
    from fabfile.planning.unfinished import runs_in_need
    from fabfile.session import opened

    if not re.fullmatch(RUN, copy):
        raise BadInput(f"--copy={copy} is no id of a copy", "write it as backup.pitr-restore printed it")
    with opened(env, reporter) as session:
        engine, _ = _engine(session)
        if copy in runs_in_need(session.observe()):
            raise Refused(f"the copy {copy} belongs to a run that has not ended", "see what to do: inv status")
        session.confirm(yes, f"the copy {copy} of {session.name}'s server is about to be removed")
        place = engine.place()
        engine.drop(place, place.beside("restore", copy))
        reporter.answer(f"nothing is left of the copy {copy}", {"copy": copy})


def _engine(session: Session) -> tuple[PgBackRest, DatabaseSettings]:
    engine, settings = session.point_in_time, session.environment.database
    assert settings
    return engine, settings


def _certificates(session: Session, project: Path) -> bytes | None:
    backup = session.environment.backup
    if backup is None or backup.ca_file is None:
        return None
    path = project / Path(backup.ca_file).expanduser()
    try:
        text = path.read_bytes()
    except OSError as error:
        raise BadInput(
            f"backup.ca_file: {backup.ca_file} cannot be read: {error.strerror}", "let it name a file of certificates"
        ) from error
    if b"-----BEGIN CERTIFICATE-----" not in text:
        raise BadInput(f"backup.ca_file: {backup.ca_file} holds no certificate", "it must be in PEM")
    return text
