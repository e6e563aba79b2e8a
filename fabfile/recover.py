"""`inv recover`: the application rebuilt on new machines from the bucket alone, and how long that took."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.deploy import summary
from fabfile.engine.events import Counted, Emit, Event, StepDone
from fabfile.errors import FleetError, TurnoutError, Unreachable
from fabfile.planning import disaster
from fabfile.planning.recovery_report import Outcome, outcome_document, outcome_lines
from fabfile.planning.unfinished import refuse_if_unfinished
from fabfile.restore import closing
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, one_line, verb

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fabfile.artifact.archive import Release
    from fabfile.engine.step import Step
    from fabfile.model.observed import Observed
    from fabfile.model.recovery_point import RecoveryPoint
    from fabfile.model.restore import Restore
    from fabfile.session import Session
    from fabfile.steps.target import Target

SERVED = "unfreeze"
"""The step after which users are served."""


@dataclass
class Stopwatch:
    """Hears of the events of a run: the seconds of each step, the rows restored, and when users were served first."""

    tell: Emit
    phases: dict[str, float] = field(default_factory=dict)
    rows: Mapping[str, int] | None = None
    served: float = 0.0

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepDone):
            self.phases[event.step] = event.seconds
            if event.step == SERVED:
                self.served = time.monotonic()
        elif isinstance(event, Counted):
            self.rows = event.tables
        self.tell(event)


@verb(
    help={
        "env": ENV,
        "hosts": "only these hosts of the environment's file, separated by commas; with NAME=ADDRESS it says which "
        "lines of the file to change first",
        "backup": "a backup's number; default: the newest complete one that was verified",
        "lock_wait": LOCK_WAIT,
        "yes": YES,
        "json": JSON,
    }
)
def recover(
    reporter: Reporter,
    env: str | None = None,
    hosts: str | None = None,
    backup: str | None = None,
    lock_wait: str = "0s",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Rebuild the application on new machines from a backup: database, shared files and release; tells RTO and RPO."""
    from fabfile.session import opened

    begun, wall = time.monotonic(), datetime.now(UTC)
    wait = duration(lock_wait, "--lock-wait")
    with opened(env, reporter) as session, tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        names = _hosts(session, hosts)
        point, points, restore = _chosen(session, backup)
        observed = _fit(session, point, names)
        archive = session.stored_release(str(point.release), Path(folder))
        target = _target(session, observed, archive, restore, wall)
        for line in _preview(session, target, point, points):
            reporter.say(line)
        session.confirm(yes, f"{session.name} is about to be rebuilt from backup {point.number}.", always=True)
        with session.lease("recover", f"recover from backup {point.number}", wait, names) as run:
            target = _target(session, _fit(session, point, names), archive, restore, wall)
            watch = Stopwatch(run.emit)
            session.carry_out(steps(session, target), closing(target), replace(run, emit=watch), target)
        _report(session, target, point, watch.served - begun, watch)


def steps(session: Session, target: Target) -> list[Step]:
    """A recovery from top to bottom. Nobody is let in before the end: what users write must never be taken back."""
    from fabfile.steps import process, record, recovery, release, traffic

    restore, scope = target.plan.restore, session.recovery
    assert restore
    database = (
        [recovery.create_database(scope, target), recovery.load_database(scope, target)] if restore.database else []
    )
    table: list[Step] = [
        record.begin(target),
        *session.hooks("pre-deploy", target),
        *database,
        recovery.load_files(scope, target),
        release.upload(target),
        release.unpack(target),
        release.place(target),
        traffic.freeze(target),
        *([recovery.vacant(scope, target), recovery.swap_database(scope, target)] if restore.database else []),
        recovery.swap_files(target),
        process.start(target),
        process.prove(target),
        traffic.reach(target),
        traffic.site(target),
        traffic.switch(target, frozen=True),
        traffic.confirm(target),
        record.seal(target),
    ]
    return [step for step in table if step.hosts]


def answer(session: Session, target: Target) -> None:
    """Say what users get now, and how long they waited, when a recovery was resumed: by the clock since it began."""
    restore = target.plan.restore
    assert restore
    point = session.recovery.catalogue.find(str(restore.point))
    waited = datetime.now(UTC) - datetime.fromisoformat(target.began)
    _report(session, target, point, waited.total_seconds(), Stopwatch(session.reporter.emit))


def _hosts(session: Session, text: str | None) -> tuple[str, ...]:
    from fabfile.backends import PROJECT
    from fabfile.config.load import origin_of

    environment = session.environment
    asked = disaster.asked_hosts(one_line(text, "--hosts") if text is not None else None, environment)
    lines = {name: str(origin_of(session.name, PROJECT, ("hosts", name, "address"))) for name in environment.hosts}
    disaster.refuse_if_moved(asked, environment, session.name, lines)
    return asked.hosts


def _chosen(session: Session, backup: str | None) -> tuple[RecoveryPoint, tuple[RecoveryPoint, ...], Restore]:
    from fabfile.model.restore import Restore

    catalogue, has_database = session.recovery.catalogue, session.environment.database is not None
    points = catalogue.points()
    point = disaster.newest(points, has_database) if backup is None else catalogue.find(backup)
    disaster.refuse_if_lacking(point, points, has_database)
    if any(part.encrypted for part in point.objects):
        session.recovery.identity()
    return point, points, Restore(has_database, True, point.number)


def _fit(session: Session, point: RecoveryPoint, names: tuple[str, ...]) -> dict[str, Observed]:
    """The new machines as they are. Raises Refused, or FleetError where one cannot be reached."""
    with _where(session):
        observed = session.observe(names)
        refuse_if_unfinished(observed)
        disaster.refuse_if_live(observed)
        problems = [problem for name, seen in observed.items() for problem in _problems(session, point, name, seen)]
        disaster.refuse_if_unready([*problems, *_database_problems(session, point)])
    return observed


def _problems(session: Session, point: RecoveryPoint, name: str, seen: Observed) -> list[str]:
    from fabfile.checks.evidence import Sending
    from fabfile.checks.preflight import host_problems

    sending = Sending(disaster.needed_bytes(point, name), 0)
    return [f"{name}: {problem}" for problem in host_problems(seen, session.name, session.environment, sending)]


def _database_problems(session: Session, point: RecoveryPoint) -> list[str]:
    database = session.database
    if database is None or point.database is None:
        return []
    live = database.live
    present = database.describe(live) if database.exists(live) else None
    return disaster.database_problems(live, point.database, present, database.server(), database.free_bytes())


@contextmanager
def _where(session: Session) -> Iterator[None]:
    """A machine that cannot be reached may be the dead one still: say where its address stands."""
    from fabfile.backends import PROJECT
    from fabfile.config.load import origin_of

    try:
        yield
    except (FleetError, Unreachable) as error:
        failures: tuple[TurnoutError, ...] = error.failures if isinstance(error, FleetError) else (error,)
        hosts = [failure.host for failure in failures if isinstance(failure, Unreachable)]
        lines = {host: origin_of(session.name, PROJECT, ("hosts", host, "address")) for host in hosts}
        error.details = (
            *error.details,
            *(f"{line} says where {host} is" for host, line in lines.items()),
        )
        raise


def _target(
    session: Session, observed: Mapping[str, Observed], archive: Release, restore: Restore, wall: datetime
) -> Target:
    from fabfile.planning.deploy_plan import plan_deploy

    plan = plan_deploy(
        observed.values(),
        session.environment,
        archive.manifest.id,
        session.configuration,
        session.templates,
        restore=restore,
    )
    missing = tuple(name for name in session.environment.run_hosts if name not in observed)
    target = session.deploy_target(archive, observed, replace(plan, verb="recover", missing=missing))
    return replace(target, began=wall.isoformat(timespec="seconds"))


def _preview(session: Session, target: Target, point: RecoveryPoint, points: tuple[RecoveryPoint, ...]) -> list[str]:
    exists = session.database is not None and session.database.exists(session.database.live)
    now, table = datetime.now(UTC), [*steps(session, target), *closing(target)]
    return [
        *disaster.preview(point, points, session.environment, target.plan.hosts, exists, now),
        *(f"  {step.name.ljust(12)} {step.title}" for step in table),
    ]


def _report(session: Session, target: Target, point: RecoveryPoint, rto: float, watch: Stopwatch) -> None:
    age = datetime.fromisoformat(target.began) - datetime.fromisoformat(point.created_at)
    outcome = Outcome(rto, max(0.0, age.total_seconds()), watch.phases, watch.rows)
    session.reporter.answer(
        "\n".join(
            [
                f"{session.name} serves {target.plan.release}, rebuilt from backup {point.number} on "
                f"{', '.join(target.plan.hosts)}",
                *outcome_lines(point, outcome),
                f"now: let users' names lead to these machines; inv backup.schedule --env={session.name}; "
                "inv backup.drop-old drops the empty places that were put aside",
            ]
        ),
        {**summary(target), **outcome_document(point, outcome)},
    )
