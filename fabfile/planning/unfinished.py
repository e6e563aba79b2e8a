"""A run that has not ended: whose it is, how far it came on each host, and whether it can go on or be taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from fabfile.errors import Refused
from fabfile.model.observed import Observed
from fabfile.model.plan import Plan
from fabfile.model.run_record import RunRecord, parse
from fabfile.model.share import Share

FINAL = ("record", "unfreeze")
"""From the first of these steps on a run cannot be taken back."""
SEALED = "seal"
"""Nor from when this one is done on all hosts of a restore: users may write again from then on."""


@dataclass(frozen=True)
class Unfinished:
    """One run, put together from what its hosts keep of it; `absent` hosts of it keep nothing or are out of reach.

    `progress` is the last event of each step, by host and step. `held` means that a canary waits for a decision.
    `ended` hosts of it answer and keep nothing but its line in their history, `undone` ones not even that, though it
    had come further than to its beginning.
    """

    run: str
    holder: str
    began: str
    configuration: str
    plan: Plan
    before: Mapping[str, Observed]
    progress: Mapping[str, Mapping[str, str]]
    absent: tuple[str, ...]
    held: bool
    ended: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()

    @property
    def took_effect(self) -> bool:
        """Too late to take it back. One host that knows is enough: the others may have been out of reach."""
        begun = any(step in events for events in self.progress.values() for step in FINAL)
        sealed = all(events.get(SEALED) == "done" for events in self.progress.values())
        return bool(self.ended) or begun or (sealed and not self.being_undone)

    @property
    def being_undone(self) -> bool:
        """Somebody began to take it back."""
        began = any(event.startswith("und") for events in self.progress.values() for event in events.values())
        return began or bool(self.undone)

    def is_done(self, name: str, hosts: Iterable[str]) -> bool:
        """Whether a step is done on all these hosts, and no host has taken its traffic back since."""
        return all(self.progress.get(host, {}).get(name) == "done" for host in hosts)

    def was_begun(self, name: str) -> bool:
        """Whether a step was begun anywhere. A share that was given by hand is taken back with the switch."""
        steps = {step for events in self.progress.values() for step in events}
        return name in steps or (
            name.partition(".")[0] == "switch" and any(step.startswith("canary-") for step in steps)
        )

    @property
    def sentence(self) -> str:
        """What happened, in plain words."""
        what = f"{self.plan.verb} of {self.plan.release} by {self.holder}, begun {self.began},"
        if self.held:
            return f"{what} is being held as a canary"
        if self.took_effect:
            return f"{what} took effect but did not end"
        reverted = [name for name, events in self.progress.items() if "reverted" in events.values()]
        tail = f"; {', '.join(reverted)} took the traffic back by itself" if reverted else ""
        return f"{what} stopped at {self._last_step}{' while it was being undone' if self.being_undone else ''}{tail}"

    @property
    def remedy(self) -> str:
        """What to type."""
        if self.held:
            return "go on: inv canary.set PERCENT (100 for all) or inv deploy.resume; go back: inv canary.stop"
        if self.took_effect:
            return "finish it: inv deploy.resume"
        if self.being_undone:
            return "undo the rest: inv deploy.abort"
        return "finish it: inv deploy.resume; undo it: inv deploy.abort"

    @property
    def _last_step(self) -> str:
        longest: Sequence[str] = max((list(events) for events in self.progress.values()), key=len, default=[])
        return longest[-1] if longest else "its beginning"


def find_unfinished(observed: Mapping[str, Observed]) -> Unfinished | None:
    """The oldest run that has not ended on these hosts, or None."""
    records = {name: record for name, seen in observed.items() if (record := parse(seen.pending))}
    if not records:
        return None
    oldest = min(records.values(), key=lambda record: record.began)
    parts = {name: record for name, record in records.items() if record.run == oldest.run}
    absent = sorted(set(oldest.hosts) - set(parts))
    without = [name for name in absent if name in observed and not observed[name].pending]
    ended = tuple(name for name in without if any(entry.run == oldest.run for entry in observed[name].history))
    further = any(step != "begin" for name in parts for step in observed[name].progress)
    found = Unfinished(
        run=oldest.run,
        holder=oldest.holder,
        began=oldest.began,
        configuration=oldest.configuration,
        plan=_whole(parts),
        before={name: record.before for name, record in parts.items()},
        progress={name: observed[name].progress for name in parts},
        absent=tuple(absent),
        held=any(_held(observed[name], oldest.run) for name in parts),
        ended=ended,
        undone=tuple(name for name in without if further and name not in ended),
    )
    if found.took_effect:  # a host that answers without a record has come to the end already
        return replace(found, absent=tuple(name for name in found.absent if name not in observed))
    return found


def refuse_if_unfinished(observed: Mapping[str, Observed]) -> None:
    """Raise Refused where a run has not ended: another one on top could not be taken back."""
    readable(observed)
    if unfinished := find_unfinished(observed):
        raise Refused(unfinished.sentence, unfinished.remedy)


def refuse_if_exchanging(observed: Mapping[str, Observed]) -> None:
    """Raise Refused while a restore may still be taken back: what users wrote now would be lost with it."""
    readable(observed)
    found = find_unfinished(observed)
    if found and found.plan.restore and not found.took_effect:
        raise Refused(found.sentence, found.remedy)


def runs_in_need(observed: Mapping[str, Observed]) -> frozenset[str]:
    """The runs whose former databases and files an unfinished run needs. Raises Refused where that cannot be read."""
    return frozenset(run for record in readable(observed) for run in record.keeps)


def readable(observed: Mapping[str, Observed]) -> list[RunRecord]:
    """The records of runs that have not ended. Raises Refused where another version has written one."""
    records = {name: parse(seen.pending) for name, seen in observed.items() if seen.pending}
    if strange := [name for name, record in records.items() if record is None]:
        raise Refused(
            f"{', '.join(strange)}: a run has not ended, and its record was written by another version",
            "finish or undo it with that version: inv deploy.resume, inv deploy.abort",
        )
    return [record for record in records.values() if record]


def _whole(parts: Mapping[str, RunRecord]) -> Plan:
    plans = [parts[name].plan for name in sorted(parts)]
    apps = tuple(app for plan in plans for app in plan.apps)
    return replace(plans[0], apps=apps, webs=tuple(web for plan in plans for web in plan.webs))


def _held(seen: Observed, run: str) -> bool:
    share = Share.parse(seen.share)
    return bool(share and share.percent and seen.trial != run)
