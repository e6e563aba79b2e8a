"""`inv backup.drop-old`: what restores kept is listed, and dropped once somebody says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, duration, verb

if TYPE_CHECKING:
    from fabfile.engine.run import Run
    from fabfile.session import Session


@dataclass(frozen=True)
class Former:
    """What a restore of the run put aside: a database, a server, or shared files of the host `where`; bytes on disk."""

    run: str
    where: str
    name: str
    size: int

    def age(self, now: datetime) -> str:
        """How long ago the run began."""
        from fabfile.planning.restore_preview import span

        began = datetime.strptime(self.run[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        return span((now - began).total_seconds())


@verb(
    help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": "drop them; without it they are only listed", "json": JSON},
    name="drop-old",
)
def drop_old(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """List what restores kept: databases, servers, files (exit 2 when there is any); --yes drops it for good."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=not yes) as session:
        if not yes:
            found = former(session)
            _show(session, found, "nothing is kept of earlier restores")
            if found:
                reporter.say("inv backup.drop-old --yes drops them; what they are from cannot be undone any more")
                reporter.leave(2)
            return
        with session.lease("drop-old", "drop what restores kept", duration(lock_wait, "--lock-wait")) as run:
            found = former(session)
            for one in found:
                _drop(session, run, one)
        _show(session, found, "nothing was kept of earlier restores")


def former(session: Session) -> list[Former]:
    """What finished restores kept, oldest first. What an unfinished run needs is left out.

    Raises FleetError when a host cannot be asked whether it has one.
    """
    from fabfile.model.restore import kept_files, kept_prefix, run_that_kept
    from fabfile.planning.unfinished import runs_in_need
    from fabfile.steps.recovery import kept_on_hosts

    needed, found = runs_in_need(session.observe()), []
    if database := session.database:
        for name in database.names_like(kept_prefix(database.live)):
            if run := run_that_kept(database.live, name):
                found.append(Former(run, "database", name, database.size(name)))
    if engine := session.physical:
        place = engine.place()
        found += [
            Former(one.run, "server", place.beside(one.purpose, one.run), one.size)
            for one in engine.beside(place)
            if one.purpose in ("before", "dropped")
        ]
    for host, kept in kept_on_hosts(session.fleet, session.paths, session.environment.app_hosts).items():
        found += [Former(run, host, kept_files(run), size) for run, size in kept.items()]
    return sorted((one for one in found if one.run not in needed), key=lambda one: (one.run, one.where))


def _drop(session: Session, run: Run, one: Former) -> None:
    from fabfile.commands import shared_files

    if one.where == "database":
        assert session.database
        session.database.drop(one.name)
    elif one.where == "server":
        engine = session.point_in_time
        engine.drop_kept(engine.place(), one.run)
    else:
        run.on_hosts("drop-old", {one.where: shared_files.drop_before(session.paths, one.run)})
    session.reporter.say(f"dropped {one.name} ({one.where})")


def _show(session: Session, found: list[Former], empty: str) -> None:
    now = datetime.now(UTC)
    rows = [[one.name, one.where, one.age(now), f"{one.size / 1e6:.1f} MB"] for one in found]
    columns = ("KEPT", "WHERE", "AGE", "SIZE")
    session.reporter.table(columns, rows, [asdict(one) for one in found], empty)
