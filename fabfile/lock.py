"""`inv lock.*`: who holds the hosts, how to hold them by hand, and how to take a hold away."""

from __future__ import annotations

from dataclasses import asdict

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, YES, duration, one_line, verb

LONGEST = 90 * 86400
"""Seconds that a lock by hand may last: a forgotten one ends by itself."""


@verb(help={"env": ENV, "json": JSON})
def status(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show who holds the lock on each host, why, and when it ends without a sign of life."""
    from fabfile.session import opened

    with opened(env, reporter, read_only=True) as session:
        leases = {name: seen.lease for name, seen in session.observe().items() if seen.lease}
        rows = [[n, held.holder, held.reason, held.run, f"{held.remaining} s"] for n, held in leases.items()]
        document = {name: asdict(held) for name, held in leases.items()}
        reporter.table(("HOST", "HOLDER", "REASON", "RUN", "ENDS IN"), rows, document, "nobody holds a lock")


@verb(
    help={
        "env": ENV,
        "reason": "what for, on one line; whoever is refused reads it",
        "expires": "when the lock ends by itself, such as 2h or 7d",
        "yes": YES,
        "json": JSON,
    }
)
def acquire(
    reporter: Reporter,
    env: str | None = None,
    reason: str = "",
    expires: str = "12h",
    yes: bool = False,
    json: bool = False,
) -> None:
    """Lock every host by hand: runs are refused with the reason until it expires or inv lock.release."""
    import os

    from fabfile.config.nesting import refuse_within_hook
    from fabfile.engine.lease import take
    from fabfile.model.observed import BY_HAND
    from fabfile.session import opened

    reason, seconds = _reason(reason), _lifetime(expires)
    refuse_within_hook(os.environ)
    with opened(env, reporter) as session:
        session.confirm(yes, f"Every run on {session.name} is about to be refused.")
        run, hosts = f"{BY_HAND}{session.run_id}", session.environment.run_hosts
        take(session.fleet, hosts, session.paths, run, session.holder, reason, seconds)
        document = {"run": run, "holder": session.holder, "reason": reason, "hosts": list(hosts), "seconds": seconds}
        reporter.answer(f"{', '.join(hosts)} are locked for {expires}: {reason}; end it: inv lock.release", document)


@verb(help={"env": ENV, "yes": YES, "json": JSON})
def release(reporter: Reporter, env: str | None = None, yes: bool = False, json: bool = False) -> None:
    """End a lock that was taken by hand, or take it from a dead run; one that lives has its next step refused."""
    from fabfile.commands.lease import break_lease
    from fabfile.session import opened

    with opened(env, reporter) as session:
        session.confirm(yes, "The lock is about to be taken from whoever holds it.", always=True)
        hosts = session.environment.run_hosts
        session.fleet.each(hosts, lambda host: host.run(break_lease(session.paths)))
        reporter.answer(f"no lock is held on {', '.join(hosts)}", {"released": list(hosts)})


def _reason(text: str) -> str:
    """The reason, fit for one line of the lease. Raises BadInput."""
    reason = one_line(text, "--reason")
    if not reason:
        raise BadInput("a lock by hand wants a reason", 'write --reason="database move"')
    return reason


def _lifetime(expires: str) -> int:
    """Whole seconds. Raises BadInput."""
    seconds = duration(expires, "--expires")
    if not 1 <= seconds <= LONGEST:
        raise BadInput(f"--expires={expires}: a lock by hand lasts from 1s to 90d", "write --expires=12h")
    return round(seconds)
