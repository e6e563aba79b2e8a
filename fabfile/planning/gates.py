"""Is a release as good as the one before it: one comparison of both slots, and what follows from several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal

from fabfile.config.schema import GatesSettings
from fabfile.model.traffic import Tally
from fabfile.planning.significance import fisher_greater, wilson_lower

Outcome = Literal["pass", "fail", "inconclusive"]

SIGNIFICANT, CERTAIN = 0.05, 0.001
"""The most that chance may explain: of errors, of slow answers."""
MIN_ERRORS = 5
MIN_POINTS = 0.005
"""A fraction: half a percentage point."""
MIN_DELAY = 50
"""Milliseconds."""
FAST_RATE, FAST_REQUESTS = 0.5, 20
WINDOW = 50
"""Times `min_requests`: what is judged is the newest looks with that many requests per slot, so that an hour of good
answers does not hide bad ones. With few requests chance finds its way: ten times took back 15 % of good hours."""
PROBES = 3

NONE = Tally()


@dataclass(frozen=True)
class Counts:
    """One slot's side of a verdict; `p95` in milliseconds, None when no latency was measured."""

    requests: int
    errors: int
    p95: int | None


@dataclass(frozen=True)
class Verdict:
    """What came of a comparison, in a sentence with its figures; `fast`: do not wait for a second one."""

    outcome: Outcome
    sentence: str
    new: Counts
    old: Counts
    fast: bool = False

    def to_json(self) -> dict[str, object]:
        """The verdict as plain data, its counts among them."""
        return asdict(self)


def decide(new: Tally, old: Tally, settings: GatesSettings) -> Verdict:
    """Compare the new slot with the old one, which served others in the same time on the same hosts.

    Most errors fail at once, and too many fail by themselves: the one-sided 95 % Wilson lower bound of their rate is
    above `error_rate`. Everything else needs `min_requests` in both slots: an error rate above `error_ratio` times the
    old one's, or a p95 above `latency_ratio` times the old one's. Both must be worse by an amount that matters, and
    significantly so (Fisher, one-sided), or noise would take back good releases.
    """
    if broken := _broken(new, old):
        return broken
    problem = _too_many_errors(new, settings)
    if not problem and min(new.requests, old.requests) < settings.min_requests:
        few = (
            f"too few requests to judge: {new.requests:,} on the new slot and {old.requests:,} on the old one, where "
            f"each needs {settings.min_requests:,}"
        )
        return _verdict("inconclusive", few, new, old)
    problem = problem or _more_errors(new, old, settings) or _slower(new, old, settings)
    return _verdict("fail" if problem else "pass", problem or _good(new, old), new, old)


def _broken(new: Tally, old: Tally) -> Verdict | None:
    if new.requests < FAST_REQUESTS or new.error_rate < FAST_RATE:
        return None
    return _verdict("fail", f"{_failing(new)}: half of them or more", new, old, fast=True)


def _too_many_errors(new: Tally, settings: GatesSettings) -> str:
    if wilson_lower(new.errors, new.requests) <= settings.error_rate:
        return ""
    return f"{_failing(new)}: more than the {_percent(settings.error_rate)} that are allowed"


def _more_errors(new: Tally, old: Tally, settings: GatesSettings) -> str:
    worse = (
        new.errors >= MIN_ERRORS
        and new.error_rate > settings.error_ratio * old.error_rate
        and new.error_rate - old.error_rate >= MIN_POINTS
    )
    if not worse or fisher_greater(new.errors, new.requests, old.errors, old.requests) >= SIGNIFICANT:
        return ""
    return f"{_failing(new)}, the old slot {_share(old)}: more than {settings.error_ratio:g} times as many"


def _slower(new: Tally, old: Tally, settings: GatesSettings) -> str:
    new_p95, old_p95 = new.quantile(0.95), old.quantile(0.95)
    if new_p95 is None or old_p95 is None:
        return ""
    limit = settings.latency_ratio * old_p95
    if new_p95 <= limit or new_p95 - old_p95 < MIN_DELAY:
        return ""
    # Where one answer in twenty is slow by nature, p95 jumps by chance: that slow ones became more must be no chance.
    # Of many looks one may always find such a chance, and what is really this much slower shows beyond any doubt.
    slow, measured = new.slower_than(limit), sum(new.latencies.values())
    if fisher_greater(slow, measured, old.slower_than(limit), sum(old.latencies.values())) >= CERTAIN:
        return ""
    return (
        f"the new slot answers 95 % of {new.requests:,} requests within {new_p95:,} ms, the old slot within "
        f"{old_p95:,} ms (of {old.requests:,}): more than {settings.latency_ratio:g} times as slow"
    )


def _good(new: Tally, old: Tally) -> str:
    return (
        f"the new slot fails {_share(new)} with p95 {_p95(new)}, the old slot {_share(old)} with p95 {_p95(old)}: "
        "as good"
    )


def _failing(new: Tally) -> str:
    return f"the new slot fails {_share(new)}"


def _share(tally: Tally) -> str:
    return f"{_percent(tally.error_rate)} of requests ({tally.errors:,} of {tally.requests:,})"


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.2f}".rstrip("0").rstrip(".") + " %"


def _p95(tally: Tally) -> str:
    milliseconds = tally.quantile(0.95)
    return "unknown" if milliseconds is None else f"{milliseconds:,} ms"


def _verdict(outcome: Outcome, sentence: str, new: Tally, old: Tally, fast: bool = False) -> Verdict:
    return Verdict(outcome, sentence, _counts(new), _counts(old), fast)


def _counts(tally: Tally) -> Counts:
    return Counts(tally.requests, tally.errors, tally.quantile(0.95))


@dataclass(frozen=True)
class Look:
    """What happened on all hosts since the look before.

    `restarted` names the new slot's processes that PM2 restarted or whose pid changed; `unready` the hosts on which it
    did not answer its readiness probe.
    """

    new: Tally = NONE
    old: Tally = NONE
    restarted: tuple[str, ...] = ()
    unready: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What is known in the course of a step; begin with `Judgement()`, `follow` each look, `conclude` at the end.

    `baseline` stands for the old slot in a step that gives it no requests: what it did before.
    """

    baseline: Tally | None = None
    whole: Look = Look()
    """All of the step."""
    recent: tuple[Look, ...] = ()
    """What the next verdict rests on."""
    latest: Verdict | None = None
    """The last look's verdict."""
    suspicion: Verdict | None = None
    """A failing look that the next one has to confirm."""
    failed_probes: int = 0
    """In a row."""
    failure: Verdict | None = None
    """Why to roll back, at once."""


def follow(judgement: Judgement, look: Look, settings: GatesSettings) -> Judgement:
    """Take in one more look. Roll back when `failure` is there afterwards.

    Two failing looks in a row are one, or a fast one, a restart, or three failed probes in a row. The second look
    rests on requests of its own, so that one burst of errors does not count twice; it takes as many requests without a
    failure to clear the first.
    """
    probes = judgement.failed_probes + 1 if look.unready else 0
    recent = _recent((*judgement.recent, look), judgement.baseline, settings)
    new, old = _sides(recent, judgement.baseline)
    latest = _at_once(look, probes, new, old) or _broken(look.new, old) or decide(new, old, settings)
    suspicion = judgement.suspicion
    whole = _together((judgement.whole, look))
    judgement = replace(judgement, whole=whole, latest=latest, failed_probes=probes)
    if latest.outcome == "fail":
        failure = latest if latest.fast or suspicion else None
        return replace(judgement, recent=(), suspicion=latest, failure=judgement.failure or failure)
    if suspicion and latest.outcome == "pass" and latest.new.requests >= suspicion.new.requests:
        suspicion = None
    return replace(judgement, recent=recent, suspicion=suspicion)


def conclude(judgement: Judgement, settings: GatesSettings) -> Verdict:
    """The step's verdict: its failure, else a pass when the whole of it passes and nothing is left to confirm."""
    if judgement.failure:
        return judgement.failure
    verdict = decide(*_sides((judgement.whole,), judgement.baseline), settings)
    doubt = judgement.suspicion or (verdict if verdict.outcome == "fail" else None)
    if doubt is None:
        return verdict
    return replace(verdict, outcome="inconclusive", sentence=f"{doubt.sentence}; no second look has confirmed it")


def _at_once(look: Look, failed_probes: int, new: Tally, old: Tally) -> Verdict | None:
    """What fails whatever the counts are."""
    if look.restarted:
        text = f"the new slot's process was restarted: {', '.join(look.restarted)}"
    elif failed_probes >= PROBES:
        text = f"the new slot did not answer {failed_probes} probes in a row: {', '.join(look.unready)}"
    else:
        return None
    return _verdict("fail", text, new, old, fast=True)


def _recent(looks: tuple[Look, ...], baseline: Tally | None, settings: GatesSettings) -> tuple[Look, ...]:
    """The newest looks, as few as hold WINDOW times `min_requests` in both slots; all, as long as they do not."""
    enough = WINDOW * settings.min_requests
    new = old = 0
    for start in range(len(looks) - 1, -1, -1):
        new, old = new + looks[start].new.requests, old + looks[start].old.requests
        if new >= enough and (baseline is not None or old >= enough):
            return looks[start:]
    return looks


def _together(looks: Iterable[Look]) -> Look:
    looks = tuple(looks)
    return Look(Tally.together(look.new for look in looks), Tally.together(look.old for look in looks))


def _sides(looks: Iterable[Look], baseline: Tally | None) -> tuple[Tally, Tally]:
    """The new slot's counts, and those that they are compared with."""
    together = _together(looks)
    return together.new, together.old if baseline is None else baseline
