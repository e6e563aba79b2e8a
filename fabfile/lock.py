"""`inv lock.status` and `inv lock.release`: who holds the hosts, and how to take a dead run's hold away."""

from __future__ import annotations

from dataclasses import asdict

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, YES, verb


@verb(help={"env": ENV, "json": JSON})
def status(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show who holds the lock on each host, why, and when it ends without a sign of life."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        leases = {name: seen.lease for name, seen in session.observe().items() if seen.lease}
        rows = [[n, held.holder, held.reason, held.run, f"{held.remaining} s"] for n, held in leases.items()]
        document = {name: asdict(held) for name, held in leases.items()}
        reporter.table(("HOST", "HOLDER", "REASON", "RUN", "ENDS IN"), rows, document, "nobody holds a lock")


@verb(help={"env": ENV, "yes": YES, "json": JSON})
def release(reporter: Reporter, env: str | None = None, yes: bool = False, json: bool = False) -> None:
    """Take the lock away from a run that is dead; if it is not, its next step is refused by the hosts."""
    from fabfile.commands.lease import break_lease
    from fabfile.session import opened

    with opened(env, reporter) as session:
        session.confirm(yes, "The lock is about to be taken from whoever holds it.", always=True)
        hosts = session.environment.run_hosts
        session.fleet.each(hosts, lambda host: host.run(break_lease(session.paths)))
        reporter.answer(f"no lock is held on {', '.join(hosts)}", {"released": list(hosts)})
