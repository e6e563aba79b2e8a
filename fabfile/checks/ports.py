"""Whether the port of the idle slot is free."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, as_root, critical, fine
from fabfile.model.observed import Observed


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs who listens where, but for what runs from our slots; a run that starts nothing needs no port."""
    if evidence.run is not None and not evidence.run.bytes:
        return
    ports = evidence.environment.process.ports

    def look(seen: Observed) -> Iterator[Finding]:
        slot = seen.idle
        port: int = getattr(ports, slot)
        if seen.live and port == seen.slots[seen.live].port:
            told = f"port {port} of slot {slot} is the live slot's"
            yield critical(seen.host, told, Remedy(note=f"give process.ports.{slot} another one"))
        elif port in seen.ports:
            pids = f"ss -Hltnp 'sport = :{port}' | grep -o 'pid=[0-9]*' | cut -d= -f2 | sort -u"
            note = f"ss -ltnp shows who it is; stop it, or change process.ports.{slot}"
            told = f"port {port} of slot {slot} is taken by {seen.ports[port]}"
            yield critical(seen.host, told, as_root(seen.host, f"kill $({pids})", note))
        else:
            yield fine(seen.host, f"port {port} of the idle slot, {slot}, is free or ours")

    yield from look_at(evidence.observed, evidence.environment.app_hosts, look)
