"""`inv maintenance.on` and `inv maintenance.off`: requests are answered with 503, or by the live release again."""

from __future__ import annotations

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, LOCK_WAIT, YES, duration, verb


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "yes": YES, "json": JSON})
def on(
    reporter: Reporter, env: str | None = None, lock_wait: str = "0s", yes: bool = False, json: bool = False
) -> None:
    """Answer every request with 503 and Retry-After; the application goes on running."""
    from fabfile.commands import nginx
    from fabfile.session import opened

    with opened(env, reporter) as session:
        session.confirm(yes, f"{session.name} is about to answer every request with 503.")
        with session.lease("maintenance", "maintenance on", duration(lock_wait, "--lock-wait")) as run:
            script = nginx.maintenance(session.paths, on=True)
            run.on_hosts("freeze", dict.fromkeys(session.environment.web_hosts, script))
        reporter.answer(f"{session.name} answers with 503; back with: inv maintenance.off", {"maintenance": True})


@verb(help={"env": ENV, "lock_wait": LOCK_WAIT, "json": JSON})
def off(reporter: Reporter, env: str | None = None, lock_wait: str = "0s", json: bool = False) -> None:
    """Let requests through again: opens the database, starts the live slot if it is down, and proves it first."""
    from fabfile.model.observed import live_release
    from fabfile.planning.unfinished import refuse_if_exchanging
    from fabfile.session import opened
    from fabfile.steps.process import live_again
    from fabfile.steps.traffic import let_through

    with opened(env, reporter) as session:
        with session.lease("maintenance", "maintenance off", duration(lock_wait, "--lock-wait")) as run:
            observed = session.observe()
            refuse_if_exchanging(observed)
            if session.environment.database and session.database:
                session.database.open(session.environment.database.name)
            environment, paths = session.environment, session.paths
            apps = {name: observed[name] for name in environment.app_hosts}
            webs = {name: observed[name] for name in environment.web_hosts}
            run.on_hosts("start", {name: live_again(environment, paths, seen) for name, seen in apps.items()})
            live = live_release(observed.values())
            run.on_hosts("unfreeze", {name: let_through(environment, paths, seen, live) for name, seen in webs.items()})
        releases = {name: seen.live_release for name, seen in observed.items()}
        reporter.answer(f"{session.name} answers again", {"maintenance": False, "releases": releases})
