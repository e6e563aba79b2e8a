"""`inv status` and `inv releases`: what the hosts hold and serve, by looking at them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from fabfile.errors import FleetError, TurnoutError
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from fabfile.model.observed import Observed


@verb(help={"env": ENV, "json": JSON})
def status(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show what every host serves now, its slots, its lock, and whether a run was left unfinished."""
    from fabfile.model.observed import Observed, live_release
    from fabfile.planning.unfinished import find_unfinished
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        found = session.observe_reachable()
        rows = [_row(name, seen) for name, seen in found.items()]
        document = {
            name: {"error": str(seen)} if isinstance(seen, TurnoutError) else asdict(seen)
            for name, seen in found.items()
        }
        columns = ("HOST", "LIVE", "RELEASE", "PROCESS", "OTHER SLOT", "FREE", "ACTIVITY")
        reporter.table(columns, rows, document, "no hosts")
        here = {name: seen for name, seen in found.items() if isinstance(seen, Observed)}
        if unfinished := find_unfinished(here):
            reporter.say(f"{unfinished.sentence}; users get {live_release(here.values()) or 'nothing yet'}")
            reporter.say(unfinished.remedy)
        if session.physical:
            problem = session.physical.trouble()
            told = f"{problem}; more: inv backup.pitr-check" if problem else "every change to the database is archived"
            reporter.say(told)
        unreachable = [seen for seen in found.values() if isinstance(seen, TurnoutError)]
        if unreachable:
            raise FleetError(unreachable)


@verb(help={"env": ENV, "json": JSON})
def releases(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List the releases that the hosts keep: the live one, the one that rollback goes back to, older ones."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        observed = session.observe()
        names = sorted({release for seen in observed.values() for release in _known(seen)})
        rows = []
        for release in sorted(names, key=lambda name: _last_served(observed, name), reverse=True):
            live = [host for host, seen in observed.items() if seen.live_release == release]
            idle = [host for host, seen in observed.items() if seen.slots[seen.idle].release == release]
            stored = [host for host, seen in observed.items() if release in seen.releases]
            rows.append([release, " ".join(live), " ".join(idle), " ".join(stored), _last_served(observed, release)])
        columns = ("RELEASE", "LIVE ON", "OTHER SLOT OF", "ARCHIVE ON", "LAST DEPLOYED (UTC)")
        document = [dict(zip(("release", "live", "idle", "archive", "at"), row, strict=True)) for row in rows]
        reporter.table(columns, rows, document, f"no releases on {session.name} yet: inv deploy")


def _known(seen: Observed) -> set[str]:
    return {*seen.releases, *(slot.release for slot in seen.slots.values() if slot.release)}


def _last_served(observed: dict[str, Observed], release: str) -> str:
    times = [entry.at for seen in observed.values() for entry in seen.history if entry.release == release]
    return max(times, default="")


def _process(seen: Observed) -> str:
    process = seen.slots[seen.live].process if seen.live else None
    return f"{process.status}, {process.restarts} restarts" if process else "not running"


def _row(name: str, seen: Observed | TurnoutError) -> list[str]:
    if isinstance(seen, TurnoutError):
        return [name, "?", "?", "unreachable", "?", "?", seen.fact]
    return [
        name,
        seen.live or "-",
        seen.live_release or "-",
        "maintenance" if seen.maintenance else _process(seen),
        seen.slots[seen.idle].release or "-",
        f"{seen.free_bytes >> 20} MiB",
        _activity(seen),
    ]


def _activity(seen: Observed) -> str:
    if seen.lease and seen.lease.remaining > 0:
        return f"{seen.lease.holder}: {seen.lease.reason}"
    if seen.pending:
        return "unfinished run, see below"
    if seen.live and not seen.share:
        return "the record of the live slot is lost: inv deploy"
    return "-"
