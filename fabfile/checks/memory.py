"""Whether a second process of the application has room beside the first, or the kernel would end one of them."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, look_at
from fabfile.model.finding import Finding, Remedy, critical, fine, warning
from fabfile.model.host_facts import HostFacts

SMALLEST = 64 << 20
"""Bytes that any Node process takes."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs available memory, free swap, and what the application's process has now."""
    yield from look_at(evidence.hosts, evidence.environment.app_hosts, _judge)


def _judge(facts: HostFacts) -> Iterator[Finding]:
    needed = max(facts.resident, SMALLEST)
    have = facts.memory_available + facts.swap_free
    told = f"{facts.memory_available >> 20} MiB of memory available, a process takes {needed >> 20} MiB"
    note = "end what is not needed, or give the machine more"
    remedy = Remedy("ps -eo rss,user,args --sort=-rss | head", facts.host, facts.user, note)
    if have < needed:
        yield critical(facts.host, f"no memory for a second process: {told}", remedy)
    elif facts.memory_available < needed + SMALLEST:
        yield warning(facts.host, told, remedy)
    else:
        yield fine(facts.host, told)
