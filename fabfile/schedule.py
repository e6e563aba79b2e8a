"""`inv backup.schedule`, what it has this machine start by the clock, and `inv backup.check`: is all of that well?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput, TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from fabfile.commands.timetable import Job, Place
    from fabfile.config.backup import ScheduleSettings
    from fabfile.config.schema import Environment
    from fabfile.remote.local_command import Ended
    from fabfile.remote.scheduler import Scheduler
    from fabfile.session import Session

LIMIT = 86400.0
"""Seconds that one command of a job may take: far more than any does; one that hangs must not keep the next away."""
GRACE = 90.0
"""Seconds that it then has to undo what it did."""
LOG_BYTES = 1 << 20
"""A log that has grown beyond is put aside, in the place of the one before."""
SHOWN = "[hidden]"


@verb(
    help={
        "env": ENV,
        "remove": "take the schedule off this machine, with its log and its file of secrets",
        "plan": "only show what would change; exit code 2 when something would",
        "json": JSON,
    }
)
def schedule(
    reporter: Reporter, env: str | None = None, remove: bool = False, plan: bool = False, json: bool = False
) -> None:
    """Have this machine back up, verify, prune and check by itself: with systemd timers, or cron where it has none."""
    from fabfile.remote.scheduler import scheduler, take_away, write
    from fabfile.session import opened

    with opened(env, reporter) as session:
        found = scheduler()
        place = _place(session, found)
        variables = {} if remove else {place.variables: _variables(session)}
        jobs, jitter = ((), 0.0) if remove else _jobs(session, place, found)
        texts = found.wanted(jobs, place, jitter) if jobs else {}
        before = {**_read(place.variables), **found.present(place.name)}
        changes = _differences(before, {**variables, **texts}, place.variables)
        document = {"scheduler": found.kind, "changes": changes, "files": [*variables, *texts]}
        reporter.answer("\n".join(changes) or "nothing to change", document)
        if plan:
            reporter.leave(2 if changes else 0)
        elif remove:
            found.remove(place.name)
            take_away(Path(place.variables))
        else:
            write(Path(place.variables), variables[place.variables], 0o600)
            found.install(place.name, texts)
            for warning in [*found.warnings(), *_about_keys(variables[place.variables])]:
                reporter.say(warning)
            reporter.say(f"installed with {found.kind}; to try it: {found.trial(jobs[0], place)}")


@verb(
    help={
        "job": "backup; maintain: verify the newest backup, prune, check; announce: tell of maintenance ahead",
        "env": ENV,
        "log": "the file that the output goes to, if any: a large one is put aside",
    }
)
def scheduled(reporter: Reporter, job: str, env: str | None = None, log: str | None = None) -> None:
    """Do what inv backup.schedule installed, once: pings after a backup, and tells the channels of any failure."""
    from datetime import UTC, datetime

    from fabfile.backends import PROJECT
    from fabfile.session import opened

    with opened(env, reporter) as session:
        commands = _commands(job, session)
        if log:
            _put_aside(Path(log))
        reporter.say(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC: {job} of {session.environment.app} in {session.name}")
        failure = None
        for command in commands:
            failure = _carried_out(reporter, [*command, f"--env={session.name}"], PROJECT)
            if failure:
                break
        if job == "backup":
            _ping(session, well=failure is None)
        if failure:
            _tell(session, f"{job} failed", str(failure))
            raise failure


@verb(help={"env": ENV, "notify": "tell the channels of the environment when something is wrong", "json": JSON})
def check(reporter: Reporter, env: str | None = None, notify: bool = False, json: bool = False) -> None:
    """Say whether the newest backup and the newest verified one are young enough; exit code 1 when one is not.

    With pgBackRest also whether every change is archived.
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from fabfile.planning.freshness import judge
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        settings = _settings(session)
        points = session.recovery.catalogue.points()
        # One backup may be missed, or still go on, when the next is due.
        found = judge(points, datetime.now(UTC), 2 * settings.every, settings.alert_after)
        archiving = session.physical.trouble() if session.physical else None
        text = "; ".join(filter(None, (found.sentence, archiving)))
        reporter.answer(text, {**asdict(found), "archiving": archiving})
        if found.stale or archiving:
            reporter.leave(1)
            if notify:
                _tell(session, "backups are too old" if found.stale else "changes are not archived", text)


def standing(session: Session) -> tuple[str, bool, tuple[str, ...], tuple[str, ...]]:
    """The scheduler of this machine, whether our jobs are installed, where they differ from those wanted now, and what
    keeps them from being started; no secret is read. Raises BadInput where nothing starts jobs here."""
    from fabfile.remote.scheduler import scheduler

    found = scheduler()
    place = _place(session, found)
    present = found.present(place.name)
    if not present:
        return found.kind, False, (), ()
    jobs, jitter = _jobs(session, place, found)
    differences = _differences(present, found.wanted(jobs, place, jitter), place.variables)
    return found.kind, True, tuple(differences), tuple(found.warnings())


def _settings(session: Session) -> ScheduleSettings:
    settings = session.environment.backup
    if settings is None:
        raise BadInput(f"hosts/{session.name}.yml has no backup section", "hosts/example.yml shows one")
    return settings.schedule


def _place(session: Session, found: Scheduler) -> Place:
    """What jobs start: this very interpreter and checkout."""
    import sys
    from dataclasses import replace

    from fabfile.backends import PROJECT
    from fabfile.commands.timetable import Place, unfit

    place = Place(session.environment.app, session.name, sys.executable, str(PROJECT), "")
    log = found.log(place.name)
    place = replace(place, variables=str(found.private / f"{place.name}.env"), log=str(log) if log else None)
    for path in (place.python, place.project, place.variables, place.log or ""):
        if character := unfit(path):
            raise BadInput(
                f"{path}: {character!r} cannot stand in a path that is started by the clock",
                "have the project where no special character is in the path",
            )
    return place


def _jobs(session: Session, place: Place, found: Scheduler) -> tuple[Sequence[Job], float]:
    """The jobs, and by how many seconds the scheduler itself has to spread them."""
    import socket

    from fabfile.commands.timetable import announcing, jobs, spread

    settings = _settings(session)
    first = 0 if found.spreads else spread(settings.jitter, place.name, socket.gethostname())
    news = [announcing(first)] if session.environment.calendar.maintenance else []
    return [*jobs(settings.every, first), *news], settings.jitter if found.spreads else 0.0


def _variables(session: Session) -> str:
    """The environment file. Raises BadInput when any value that the configuration points to is not there."""
    import os

    from fabfile.commands.timetable import environment_file
    from fabfile.config.variables import OF_THE_STORE, variables
    from fabfile.notify import not_usable

    _ = session.sources, session.ping
    for sentence in not_usable(session.channels):
        raise BadInput(f"notify: {sentence}", "write the address as Apprise's list of services shows it: slack://…")
    names = (*variables(session.environment), *OF_THE_STORE)
    return environment_file({name: os.environ[name] for name in names if os.environ.get(name)})


def _about_keys(variables: str) -> list[str]:
    """What is different for a job, which nobody is logged in for."""
    import os

    said = []
    if "AWS_SESSION_TOKEN=" in variables:
        said.append("AWS_SESSION_TOKEN expires, and the schedule with it: use a key of its own for backups")
    if os.environ.get("SSH_AUTH_SOCK"):
        said.append("your SSH agent is not there for the schedule: it needs a key file without a passphrase")
    return said


def _read(path: str) -> dict[str, str]:
    try:
        return {path: Path(path).read_text()}
    except FileNotFoundError:
        return {}


def _differences(before: Mapping[str, str], after: Mapping[str, str], secret: str) -> list[str]:
    """A unified diff of everything that changes; of the secret file the names alone."""
    import difflib
    import re

    def lines(texts: Mapping[str, str], name: str) -> list[str]:
        text = texts.get(name, "")
        # A value may have line breaks, but no quotation mark that is not escaped.
        shown = re.sub(r'="(?:[^"\\]|\\.)*"', f'="{SHOWN}"', text, flags=re.S) if name == secret else text
        return shown.splitlines()

    found = []
    for name in sorted({*before, *after}):
        old, new = "/dev/null" if name not in before else name, "/dev/null" if name not in after else name
        differing = list(difflib.unified_diff(lines(before, name), lines(after, name), old, new, lineterm=""))
        if not differing and before.get(name) != after.get(name):
            differing = [f"{name}: other values"]
        found += differing
    return found


def _commands(job: str, session: Session) -> list[list[str]]:
    """What a job runs, in its order; where one fails the rest is left: nothing is pruned that might be needed."""
    # Longer than most runs, watching included; and never until the next one is due.
    wait = f"--lock-wait={_settings(session).every / 2:.0f}s"
    commands = {
        "backup": [["backup", "--reason=scheduled", wait]],
        "maintain": [["backup.verify", "--backup=latest-full"], ["backup.prune", "--yes", wait], ["backup.check"]],
        "announce": [["windows.announce"]],
    }
    if job not in commands:
        raise BadInput(f"there is no job {job!r}", f"jobs: {', '.join(commands)}")
    return commands[job]


def _carried_out(reporter: Reporter, command: Sequence[str], project: Path) -> TurnoutError | None:
    """Run one command as a process of its own, whose crash is a failure like any other; how it failed, or None."""
    import sys

    from fabfile.remote.local_command import run

    ended: Ended = run([sys.executable, "-m", "invoke", *command], project, LIMIT, grace=GRACE)
    if ended.lines:
        reporter.answer("\n".join(ended.lines), None)
    if not ended.failed:
        return None
    shown = f"inv {' '.join(command)}"
    return TurnoutError(f"`{shown}` {ended.how}", f"run it by hand: {shown}", ended.lines[-10:])


def _ping(session: Session, well: bool) -> None:
    """A ping that does not get through is told, and changes nothing."""
    from fabfile.notify import ping

    try:
        failure = ping(session.ping, well) if session.ping else ""
    except BadInput as error:
        failure = error.fact
    if failure:
        session.reporter.say(f"the ping failed: {failure}")


def _tell(session: Session, what: str, text: str) -> None:
    """Tell the channels; one that does not take it is told here, and changes nothing."""
    import socket

    from fabfile.notify import tell

    environment: Environment = session.environment
    title = f"{environment.app} in {session.name}: {what} (on {socket.gethostname()})"
    try:
        failures = tell(session.channels, title, text)
    except BadInput as error:
        failures = [error.fact]
    for failure in failures:
        session.reporter.say(failure)


def _put_aside(log: Path) -> None:
    """Let the next run begin a new log; this one writes to the end of its own."""
    if log.is_file() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))
