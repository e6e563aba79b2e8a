"""Which backups stay and which go: one verified backup for each slot of time, and nothing that somebody may need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fabfile.config.backup import RetentionSettings
from fabfile.model.holdings import Archive, Holdings, Unlisted, release_of
from fabfile.model.recovery_point import RELEASE, RecoveryPoint

GIVEN_UP = timedelta(days=1)
"""A backup without a manifest to which nothing was added for so long is not being written any more."""

AWAITED = timedelta(days=30)
"""A release that `inv build` stored may be deployed or promoted for so long, however many came after it."""

SLOTS: dict[str, tuple[str, Callable[[datetime], object]]] = {
    "six_hourly": ("6 hours", lambda at: (at.date(), at.hour // 6)),
    "daily": ("day", lambda at: at.date()),
    "weekly": ("week", lambda at: at.isocalendar()[:2]),
    "monthly": ("month", lambda at: (at.year, at.month)),
    "yearly": ("year", lambda at: at.year),
}
"""By the key of its rule: a slot's name, and the slot in which a moment in UTC is."""


@dataclass(frozen=True)
class Judgement:
    """Whether one backup stays, and why."""

    point: RecoveryPoint
    keep: bool
    why: str


@dataclass(frozen=True)
class Prune:
    """What is deleted, and what somebody should know about that is not."""

    judgements: tuple[Judgement, ...]
    unlisted: tuple[Unlisted, ...]
    archives: tuple[Archive, ...]
    notes: tuple[str, ...]

    @property
    def doomed(self) -> tuple[RecoveryPoint, ...]:
        """The backups to delete, oldest first."""
        return tuple(judged.point for judged in reversed(self.judgements) if not judged.keep)

    @property
    def empty(self) -> bool:
        """There is nothing to delete."""
        return not (self.doomed or self.unlisted or self.archives)


def plan_prune(holdings: Holdings, rules: RetentionSettings, now: datetime, needed: Collection[int] = ()) -> Prune:
    """What to delete at this moment (which knows its zone); `needed` are numbers that a run is not done with."""
    judgements = judge(holdings.points, rules, now, needed, holdings.expired)
    gone = tuple(found for found in holdings.unlisted if found.keys and now - found.touched >= GIVEN_UP)
    notes = [f"backup {number} is damaged: it is neither counted nor deleted" for number in sorted(holdings.damaged)]
    if judgements and not any(judged.point.verified_at for judged in judgements):
        notes.append("no backup is verified yet, and only verified ones can stand for others: inv backup.verify")
    kept = [judged.point for judged in judgements if judged.keep]
    idle = _idle(holdings.archives, [*kept, *filter(None, holdings.damaged.values())], now)
    unsure = [number for number, point in holdings.damaged.items() if point is None]
    unsure += [found.number for found in holdings.unlisted if now - found.touched < GIVEN_UP]
    if idle and unsure:
        numbers = ", ".join(map(str, sorted(unsure)))
        notes.append(f"release archives that no backup has stay for now: who knows what backup {numbers} needs")
        idle = ()
    return Prune(judgements, gone, idle, tuple(notes))


def judge(
    points: Iterable[RecoveryPoint],
    rules: RetentionSettings,
    now: datetime,
    needed: Collection[int] = (),
    expired: Sequence[RecoveryPoint] = (),
) -> tuple[Judgement, ...]:
    """Each backup, newest first, with what becomes of it; `expired` ones hold no server any more, and go.

    Kinds are judged apart, because a dump stands for no files. Of each slot in the span of its rule the newest verified
    backup stays. Slots are in UTC, so that no day has 23 or 25 hours.
    """
    whole = sorted(points, key=_order, reverse=True)
    ordered = sorted([*whole, *expired], key=_order, reverse=True)
    past = [point for point in whole if taken(point) <= now]
    found: dict[int, tuple[bool, str]] = {}
    for kind in {point.kind for point in past}:
        found |= _judge_kind([point for point in past if point.kind == kind], rules, now)
    found |= {point.number: (False, "pgBackRest has let its server go") for point in expired}
    found |= {point.number: (True, "dated in the future: ignored") for point in ordered if taken(point) > now}
    found |= {number: (True, "a run that has not ended needs it") for number in needed if number in found}
    found |= {point.number: (True, "kept forever") for point in ordered if point.keep_forever}
    return tuple(Judgement(point, *found[point.number]) for point in ordered)


def taken(point: RecoveryPoint) -> datetime:
    """When a backup was taken."""
    return datetime.fromisoformat(point.created_at)


def _judge_kind(past: list[RecoveryPoint], rules: RetentionSettings, now: datetime) -> dict[int, tuple[bool, str]]:
    verified = [point for point in past if point.verified_at]
    newest = _order(verified[0]) if verified else None
    whys: dict[int, list[str]] = {point.number: [] for point in verified}
    for key, (name, slot) in SLOTS.items():
        span = getattr(rules, key)
        if span is None:
            continue
        filled = set()
        for point in verified:
            at = taken(point).astimezone(UTC)
            if (now - at).total_seconds() <= span and slot(at) not in filled:
                filled.add(slot(at))
                whys[point.number].append(name)
    found = {}
    for place, point in enumerate(verified):
        slots = whys[point.number]
        if slots:
            found[point.number] = (True, f"newest verified of its {', '.join(slots)}")
        elif place < rules.min_keep:
            found[point.number] = (True, f"one of the newest {rules.min_keep} verified")
        else:
            found[point.number] = (False, "newer verified ones stand for it, or every rule's span is over")
    for point in past:
        if not point.verified_at:
            found[point.number] = _judge_unverified(point, newest, rules, now)
    return found


def _judge_unverified(
    point: RecoveryPoint, newest: tuple[datetime, int] | None, rules: RetentionSettings, now: datetime
) -> tuple[bool, str]:
    if newest is None or _order(point) > newest:
        return True, "not verified, but newer than every verified one"
    days = f"{rules.unverified / 86400:g} d"
    if (now - taken(point)).total_seconds() < rules.unverified:
        return True, f"not verified, but younger than {days}"
    return False, f"not verified within {days}, so it fills no slot"


def _order(point: RecoveryPoint) -> tuple[datetime, int]:
    return taken(point), point.number


def _idle(archives: Sequence[Archive], points: Iterable[RecoveryPoint], now: datetime) -> tuple[Archive, ...]:
    """Those that no backup has; what `inv build` stored stays a while all the same, and the newest of it always."""
    used = {release_of(part.key) for point in points if (part := point.part(RELEASE))}
    newest = max((archive.pushed for archive in archives if archive.pushed), default=None)
    return tuple(
        archive
        for archive in archives
        if archive.release not in used
        and (archive.pushed is None or (archive.pushed != newest and now - archive.pushed >= AWAITED))
    )
