"""Whether every value that the environment's file points to is there."""

from __future__ import annotations

from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen
from fabfile.config.required import IDENTITY, Unreadable, required
from fabfile.model.finding import Finding, Remedy, critical, fine, from_hint, unseen, warning


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs which of the values cannot be read; no value itself."""
    if isinstance(evidence.unreadable, Unseen):
        yield unseen("", evidence.unreadable.why)
        return
    for lacking in evidence.unreadable:
        told = f"{lacking.key}: {lacking.fact}"
        # Only a restore needs it, and there may be a reason to keep it elsewhere.
        judged = warning if lacking.key == IDENTITY else critical
        yield judged(lacking.key, told, _remedy(lacking))
    if not evidence.unreadable:
        yield fine("", f"{len(required(evidence.environment))} values, each where the environment's file says")


def _remedy(lacking: Unreadable) -> Remedy:
    """A secret is typed where nobody sees it, and no shell remembers it."""
    kind, _, name = lacking.source.partition(":")
    if kind == "env":
        return Remedy(f"read -rs {name} && export {name}", note="it waits for the value, and does not show it")
    return from_hint(lacking.hint)
