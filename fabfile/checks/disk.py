"""Whether a release finds room on each host: the one that is sent, or another like those that are there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fabfile.checks.evidence import Evidence, Unseen, look_at
from fabfile.commands.disk import HEADROOM
from fabfile.model.finding import Finding, Remedy, critical, fine, warning
from fabfile.model.host_facts import HostFacts
from fabfile.model.observed import Observed
from fabfile.model.paths import Paths

INODES = 1000
"""Files beside those of a release."""


def judge(evidence: Evidence) -> Iterator[Finding]:
    """Needs free bytes and inodes; without a run also the sizes of slots, archives and logs that are there."""

    def look(seen: Observed) -> Iterator[Finding]:
        app = seen.host in evidence.environment.app_hosts
        known = evidence.hosts.get(seen.host)
        facts = None if isinstance(known, Unseen) else known
        run = evidence.run
        if run is None:
            needed, kept, files = *_estimate(facts, evidence.environment.release.keep), 0
        else:
            needed, kept, files = run.bytes, run.bytes, run.files
        if not app:
            needed = kept = files = 0
        yield from _problems(seen, Paths(evidence.environment.app), facts, needed, kept, files)

    yield from look_at(evidence.observed, evidence.environment.run_hosts, look)


def _problems(
    seen: Observed, paths: Paths, facts: HostFacts | None, needed: int, kept: int, files: int
) -> Iterator[Finding]:
    free = f"{seen.free_bytes >> 20} MiB free for {paths.root}"
    full = seen.free_bytes < needed + HEADROOM
    few = 0 < seen.free_inodes < files + INODES  # 0 where the file system has no such limit
    if full:
        told = f"no space: {free}, {(needed + HEADROOM) >> 20} MiB needed"
        yield critical(seen.host, told, _remedy(seen, paths, facts, needed + HEADROOM - seen.free_bytes))
    elif seen.free_bytes < kept + HEADROOM:
        told = f"{free}, and {(kept + HEADROOM) >> 20} MiB needed until release.keep archives are there"
        yield warning(seen.host, told, _remedy(seen, paths, facts, kept + HEADROOM - seen.free_bytes))
    if few:
        told = f"no inodes: {seen.free_inodes} free, {files + INODES} needed"
        remedy = _on(seen, f"du --inodes -x {paths.root} | sort -n | tail -n 20", "remove small files")
        yield critical(seen.host, told, remedy)
    if not full and not few and seen.free_bytes >= kept + HEADROOM:
        yield fine(seen.host, free)


def _estimate(facts: HostFacts | None, keep: int) -> tuple[int, int]:
    """What the next release takes, and what it takes until as many archives are there as are kept."""
    if facts is None:
        return 0, 0
    needed = facts.slot_bytes + facts.archive_bytes
    return needed, needed + facts.archive_bytes * max(0, keep - facts.archives - 1)


def _remedy(seen: Observed, paths: Paths, facts: HostFacts | None, lacking: int) -> Remedy:
    """A log that has grown beyond what lacks is emptied; of anything else somebody has to say that it may go."""
    if facts and facts.largest_log and facts.largest_log[1] > lacking:
        path, size = facts.largest_log
        note = f"{path} has {size >> 20} MiB; once nobody needs what is in it"
        return _on(seen, f"truncate -s 0 {shlex.quote(path)}", note)
    return _on(seen, f"du -xh --max-depth=3 {paths.base} | sort -h | tail -n 20", "free some, or lower release.keep")


def _on(seen: Observed, command: str, note: str) -> Remedy:
    return Remedy(command, seen.host, seen.user, note)
