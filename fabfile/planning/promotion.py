"""What may be promoted: the release that an environment serves everywhere and has verified, byte for byte."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fabfile.errors import Refused
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.paths import Paths
from fabfile.model.plan import Plan
from fabfile.model.verified import Verified
from fabfile.planning.unfinished import refuse_if_unfinished

VERBS = ("deploy", "catch-up")
"""Runs that bring a release and, when they end well, verify it."""


def ended_everywhere(plan: Plan, hosts: Iterable[str]) -> bool:
    """Whether such a run, once it has ended well, has verified its release: on all hosts, not only on some."""
    if plan.kind != "deploy" or plan.verb not in VERBS or plan.rollout.hold:
        return False
    return plan.verb == "catch-up" or {*plan.hosts, *plan.unchanged} >= set(hosts)


def earlier_success(observed: Mapping[str, Observed], release: str) -> HistoryEntry | None:
    """The newest run that brought this release and ended well, where every host remembers one and none calls it bad."""
    found = []
    for seen in observed.values():
        entries = [entry for entry in seen.history if entry.release == release and entry.verb in VERBS]
        if not entries or release in seen.bad:
            return None
        found.append(entries[-1])
    return max(found, key=lambda entry: entry.at, default=None)


def live_everywhere(name: str, observed: Mapping[str, Observed], app_hosts: Iterable[str]) -> str:
    """The one release that an environment serves. Raises Refused where there are several, none, or a run goes on."""
    try:
        refuse_if_unfinished(observed)
    except Refused as error:
        raise Refused(f"{name}: {error.fact}", f"{error.hint} (each with --env={name})") from error
    live = {host: observed[host].live_release for host in sorted(app_hosts)}
    releases = {release for release in live.values() if release}
    if None in live.values() or len(releases) != 1:
        each = [f"{host}: {release or 'nothing yet'}" for host, release in live.items()]
        raise Refused(
            f"the hosts of {name} do not all serve one release, so there is none to promote",
            f"inv deploy --env={name}, or inv deploy.catch-up --env={name}",
            each,
        )
    return releases.pop()


def refuse_unless_verified(name: str, release: str, digest: str, found: Sequence[Verified]) -> Verified:
    """The record that `name` verified exactly the archive that it serves. Raises Refused where there is none."""
    for record in found:
        if record.digest == digest:
            return record
    again = f"inv deploy --release={release} --env={name}"
    if found:
        details = [f"{record.digest}: verified at {record.at} by {record.by}" for record in found]
        raise Refused(
            f"{name} verified another archive called {release} than the one that it serves: it was built again",
            f"deploy the one that is to go on, to its end: {again}",
            [f"{digest}: what {name} serves", *details],
        )
    raise Refused(
        f"{name} serves {release} but has not verified it: no deploy of it is on record as having ended well",
        f"{again} verifies it, or notes what an earlier deploy could not",
    )


def refuse_other_archives(verified: Verified, found: Mapping[str, str]) -> None:
    """Raise Refused where an archive of the same name is another one; `found` has each place and the SHA-256 there."""
    others = {place: digest for place, digest in found.items() if digest != verified.digest}
    if others:
        raise Refused(
            f"{verified.release} was built again: {' and '.join(others)} has other bytes than those that "
            f"{verified.environment} verified",
            f"remove what was not verified: rm dist/{verified.release}.*; "
            f"on a host: rm {Paths(verified.app).releases}/{verified.release}.*",
            [
                f"{verified.digest}: verified in {verified.environment} at {verified.at} by {verified.by}",
                *(f"{digest}: {place}" for place, digest in others.items()),
            ],
        )
