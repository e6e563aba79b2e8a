"""Whether the hosts' clocks and ours tell the same time: histories, leases, signatures and certificates go by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.model.finding import Finding, Remedy, as_root, critical, fine, unseen, warning
from fabfile.model.host_facts import HostFacts

SOME, MUCH = 5.0, 60.0
"""Seconds of difference that are worth a word, and those that are harmful."""
OURS = "this machine"
SET = "timedatectl set-ntp true"
NOTE = "if it stays so, see why: timedatectl timesync-status"


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs each host's clock and between which two moments of ours it was read: only what is certain counts."""
    facts = {name: found for name, found in evidence.hosts.items() if not isinstance(found, Unseen)}
    for name, found in evidence.hosts.items():
        if isinstance(found, Unseen):
            yield unseen(name, found.why)
    if _is_ours(facts):
        ahead = min((certain(found.offset) for found in facts.values()), key=abs)
        told = f"the clocks of {' and '.join(facts)} agree, and this machine's is {_words(-ahead)} theirs"
        remedy = Remedy(f"sudo {SET}", note=NOTE)
        yield critical(OURS, told, remedy) if abs(ahead) >= MUCH else warning(OURS, told, remedy)
        return
    for name, found in facts.items():
        ahead = certain(found.offset)
        if abs(ahead) < SOME:
            yield fine(name, "its clock and ours agree")
            continue
        remedy = as_root(name, SET, NOTE)
        told = f"its clock is {_words(ahead)} ours"
        yield critical(name, told, remedy) if abs(ahead) >= MUCH else warning(name, told, remedy)


def certain(offset: tuple[float, float]) -> float:
    """By how much a clock is ahead at the least (negative: behind) that is between these two; 0 where it may agree."""
    least, most = offset
    return least if least > 0 else most if most < 0 else 0.0


def _is_ours(facts: Mapping[str, HostFacts]) -> bool:
    """Several hosts, all of them away from us, may all tell the same time: then it is we who are wrong."""
    offsets = [found.offset for found in facts.values()]
    away = len(offsets) > 1 and all(abs(certain(offset)) >= SOME for offset in offsets)
    return away and max(least for least, _ in offsets) - min(most for _, most in offsets) < SOME


def _words(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'}"
