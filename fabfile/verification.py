"""`inv backup.verify`: backups are restored beside the live system and compared; --drill starts the application."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import (
    BadInput,
    Interrupted,
    Refused,
    RemoteError,
    RemoteTimeout,
    TurnoutError,
    Unreachable,
    Unverified,
)
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from fabfile.model.recovery_point import Drill, RecoveryPoint
    from fabfile.recovery.verify import Findings
    from fabfile.session import Session


@dataclass(frozen=True)
class Place:
    """Where a drill is held: the host, its Node, and its free bytes."""

    host: str
    node: str
    free: int


@verb(
    help={
        "env": ENV,
        "backup": "a backup's number, latest, or latest-full: the newest of database and files (see inv backup.list)",
        "all_unverified": "every backup that was not verified, or failed",
        "drill": "start the whole application of the backup beside the live one, and measure how long that takes",
        "json": JSON,
    }
)
def verify(
    reporter: Reporter,
    env: str | None = None,
    backup: str = "latest",
    all_unverified: bool = False,
    drill: bool = False,
    json: bool = False,
) -> None:
    """Restore a backup into a scratch database, compare every row count, read all its files, and note what came of it.

    Nothing live is touched and no lock is taken: deploys and backups go on meanwhile.
    """
    from fabfile.session import opened

    if all_unverified and backup != "latest":
        raise BadInput(f"--all-unverified and --backup={backup} are two choices", "give one of them")
    with opened(env, reporter) as session:
        points = _chosen(session, backup, all_unverified)
        verified: list[RecoveryPoint] = []
        undecided: list[tuple[RecoveryPoint, TurnoutError]] = []
        for point in points:
            try:
                verified.append(_verify(session, point, drill))
            except Interrupted:
                raise
            except TurnoutError as error:
                if len(points) == 1:
                    raise
                reporter.say(f"backup {point.number} could not be verified: {error.fact}")
                undecided.append((point, error))
        _answer(session, verified, undecided)


def _chosen(session: Session, backup: str, all_unverified: bool) -> list[RecoveryPoint]:
    catalogue = session.recovery.catalogue
    if not all_unverified:
        return [catalogue.find(backup)]
    listing = catalogue.listing()
    for number in listing.damaged:
        session.reporter.say(f"backup {number} is damaged: a part is missing or has another size; it is not verified")
    return [point for point in listing.points if point.verified_at is None]


def _verify(session: Session, point: RecoveryPoint, drill: bool) -> RecoveryPoint:
    """Try one backup and write down what came of it. Raises TurnoutError where that could not be found out."""
    from fabfile.model.recovery_point import Verification, utc
    from fabfile.recovery.verify import read_parts

    began = time.monotonic()
    place = _place(session, point) if drill else None
    with tempfile.TemporaryDirectory(prefix="turnout-") as folder:
        session.reporter.say(f"backup {point.number}: reading its files and its release to their ends")
        found = read_parts(session.recovery, point, Path(folder))
        held = _try(session, point, found, place)
    verification = Verification(
        at=utc(datetime.now(UTC)),
        outcome="failed" if found.problems else "passed",
        by=session.holder,
        seconds=round(time.monotonic() - began, 3),
        problems=tuple(map(session.reporter.clean, found.problems)),  # an application's log may be among them
        drill=held,
    )
    for problem in found.problems:
        session.reporter.say(f"backup {point.number}: {problem}")
    return session.recovery.catalogue.record_verified(point, verification)


def _try(session: Session, point: RecoveryPoint, found: Findings, place: Place | None) -> Drill | None:
    """Look into a scratch database with the dump in it; with a place, hold the drill there if nothing is wrong."""
    from fabfile.recovery.verify import examine, restore_into, scratch_database, try_server

    scope, phases = session.recovery, dict[str, float]()
    if point.pgbackrest:
        session.reporter.say(f"backup {point.number}: restoring the whole server beside the live one")
        found.problems += try_server(scope, point, session.run_id)
        return None
    if point.database is None:
        return _drill(session, point, found, place, "", phases)
    if scope.database is None:
        raise BadInput(
            f"backup {point.number} has a dump, and there is no server to restore it on",
            "add a database section to the environment file",
        )
    size = point.database.size_bytes
    session.reporter.say(f"backup {point.number}: restoring {size / 1e6:.2f} MB into a scratch database")
    began = time.monotonic()
    with scratch_database(scope.database, session.run_id, size) as copy:
        if restore_into(scope, point, copy, found.problems):
            phases["database"] = round(time.monotonic() - began, 3)
            found.problems += examine(point, scope.database, scope.environment.smoke, copy)
        return _drill(session, point, found, place, copy, phases)


def _drill(
    session: Session, point: RecoveryPoint, found: Findings, place: Place | None, copy: str, phases: dict[str, float]
) -> Drill | None:
    """The drill, added to the phases so far; None where none is wanted, or where something is wrong."""
    from fabfile.config.database_url import with_database
    from fabfile.model.recovery_point import Drill, utc
    from fabfile.steps.drill import start_beside

    if place is None or found.problems:
        return None
    assert found.release, "the place was chosen for a backup with a release"
    settings, secrets = session.environment.database, session.sources.application
    if settings:
        secrets = with_database(settings, secrets, copy)
    size = found.release.manifest
    needed = sum(found.unpacked.values()) + size.size + size.unpacked
    if place.free < needed:
        raise Refused(
            f"{place.host} has {place.free / 1e9:.2f} GB free, and the drill takes {needed / 1e9:.2f} GB there",
            f"make room on {place.host}: df -h",
        )
    session.reporter.say(f"backup {point.number}: starting {found.release.manifest.id} beside, on {place.host}")
    host = session.fleet[place.host]
    try:
        phases |= start_beside(session.recovery, point, found.release, secrets, host, place.node, session.run_id)
    except (Unreachable, RemoteTimeout):
        raise
    except RemoteError as error:
        found.problems += [f"drill: {error.fact}", *error.details[-20:]]
        return None
    return Drill(utc(datetime.now(UTC)), place.host, phases)


def _place(session: Session, point: RecoveryPoint) -> Place:
    """Where a drill is held. Raises BadInput or Refused where it cannot be."""
    from fabfile.config.database_url import with_database
    from fabfile.model.recovery_point import DATABASE, RELEASE

    settings, secrets = session.environment.database, session.sources.application
    if point.pgbackrest:
        raise BadInput(
            f"backup {point.number} holds the whole server, of which a copy can be reached on its own host alone",
            "leave out --drill; or look at a copy: inv backup.pitr-restore --at=TIME",
        )
    lacking = [name for name in (RELEASE, *([DATABASE] if settings else [])) if point.part(name) is None]
    if lacking:
        raise BadInput(
            f"backup {point.number} has no {lacking[0]} in it to drill with", "choose another: inv backup.list"
        )
    if settings:
        with_database(settings, secrets, settings.name)
    host = session.environment.app_hosts[0]
    seen = session.observe([host])[host]
    if "node" not in seen.tools:
        raise Refused(f"{host} has no node", "inv plan names what lacks there")
    return Place(host, seen.tools["node"], seen.free_bytes)


def _answer(
    session: Session, verified: Sequence[RecoveryPoint], undecided: Sequence[tuple[RecoveryPoint, TurnoutError]]
) -> None:
    lines = [described(point) for point in verified] or [f"every backup of {session.name} is verified"]
    if verified or not undecided:
        session.reporter.answer("\n".join(lines), [asdict(point) for point in verified])
    bad = [point for point in verified if point.verified_at is None]
    told = [f"backup {point.number}: {error.fact}" for point, error in undecided]
    if bad:
        numbers = ", ".join(str(point.number) for point in bad)
        problems = [f"backup {p.number}: {line}" for p in bad if p.verification for line in p.verification.problems]
        raise Unverified(f"not as they were saved: backup {numbers}", "take a new one: inv backup", [*problems, *told])
    if undecided:
        error = undecided[0][1]
        error.details = (*error.details, *told[1:])
        raise error


def described(point: RecoveryPoint) -> str:
    """One line about what came of trying a backup."""
    found = point.verification
    assert found, "only what was tried is described"
    if found.outcome == "failed":
        return f"backup {point.number} FAILED its verification: {len(found.problems)} problems"
    rows = ""
    if point.database:
        rows = f"{sum(point.database.tables.values())} rows in {len(point.database.tables)} tables, "
    if point.pgbackrest:
        rows = "the whole server, "
    line = f"backup {point.number} restores: {rows}{len(point.objects)} parts, {found.seconds:.1f} s"
    if found.drill:
        phases = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found.drill.phases.items())
        line += f"; healthy on {found.drill.host} after {found.drill.seconds:.1f} s ({phases})"
    return line
