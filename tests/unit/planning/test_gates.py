"""Bad releases are taken back, good ones are not, and too little traffic is never a pass."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import cycle, islice

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fabfile.config.schema import GatesSettings
from fabfile.model.traffic import Tally
from fabfile.planning.gates import Judgement, Look, conclude, decide, follow

SETTINGS = GatesSettings()
GENEROUS = GatesSettings.model_validate({"error_rate": "100%"})
"""Nothing is too much by itself: what fails fails by comparison."""

LOOKS = 60
FALSE_ROLLBACKS = 0.02
"""Of steps in which both releases are the same: at most so many may be taken back."""


def counts(requests: int, errors: int = 0, *milliseconds: int) -> Tally:
    """Requests with these latencies in turn."""
    times = milliseconds or (20,)
    return Tally(requests, errors, dict(Counter(islice(cycle(times), requests))))


def outcome(new: Tally, old: Tally, settings: GatesSettings = SETTINGS) -> str:
    return decide(new, old, settings).outcome


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (counts(1000, 1), counts(9000, 9), "pass"),
        (counts(1000), counts(1000), "pass"),
        (counts(1000, 100), counts(1000, 1), "fail"),
        (counts(1000, 100), counts(1000, 100), "fail"),  # both are bad; more than 5 % is too much by itself
        (counts(10_000, 4), counts(10_000, 0), "pass"),
        (counts(200, 4), counts(100_000, 0), "pass"),  # 2 % and significant, but 4 errors may be one bad client
        (counts(200, 5), counts(100_000, 0), "fail"),
        (counts(10_000, 49), counts(10_000, 0), "pass"),  # less than half a point worse
        (counts(10_000, 50), counts(10_000, 0), "fail"),
        (counts(10_000, 200), counts(10_000, 100), "pass"),  # twice, not more
        (counts(10_000, 201), counts(10_000, 100), "fail"),
        (counts(200, 9), counts(200, 2), "fail"),  # p = 0.03
        (counts(200, 8), counts(200, 2), "pass"),  # p = 0.05
        (counts(199, 0), counts(9000), "inconclusive"),
        (counts(9000, 0), counts(199), "inconclusive"),
        (counts(0), counts(0), "inconclusive"),
        (counts(150, 20), counts(0), "fail"),  # more than 5 % needs no baseline
        (counts(19, 9), counts(0), "fail"),
    ],
)
def test_errors(new: Tally, old: Tally, expected: str) -> None:
    assert outcome(new, old) == expected


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (counts(1000, 0, 30, 60, 90), counts(1000, 0, 10, 20, 30), "fail"),
        (counts(1000, 0, 20, 40, 60), counts(1000, 0, 10, 20, 30), "pass"),  # twice, not more
        (counts(1000, 0, 79), counts(1000, 0, 30), "pass"),  # 49 ms more is nothing that a person sees
        (counts(1000, 0, 80), counts(1000, 0, 30), "fail"),
        (counts(1000, 0, 300), counts(1000, 0, 200), "pass"),
        (counts(199, 0, 900), counts(1000, 0, 30), "inconclusive"),
        (Tally(1000, 0, {}), counts(1000, 0, 30), "pass"),  # nothing was measured
    ],
)
def test_latency(new: Tally, old: Tally, expected: str) -> None:
    assert outcome(new, old) == expected


def test_a_p95_that_jumps_by_chance_is_no_failure() -> None:
    """Where about one answer in twenty is slow by nature, a few more move p95 from the fast ones to the slow ones."""
    new, old = Tally(1000, 0, {20: 947, 900: 53}), Tally(1000, 0, {20: 953, 900: 47})
    assert (new.quantile(0.95), old.quantile(0.95)) == (900, 20)
    assert outcome(new, old) == "pass"
    assert outcome(replace(new, latencies={20: 900, 900: 100}), old) == "fail"


@pytest.mark.parametrize(("requests", "errors", "fast"), [(20, 10, True), (19, 19, False), (20, 9, False)])
def test_most_requests_failing_is_fast(requests: int, errors: int, fast: bool) -> None:
    verdict = decide(counts(requests, errors), counts(0), SETTINGS)
    assert verdict.outcome == "fail"
    assert verdict.fast is fast


def test_settings_are_obeyed() -> None:
    new, old = counts(1000, 40, 90), counts(1000, 15, 40)
    assert outcome(new, old) == "fail"
    lenient = GatesSettings.model_validate({"error_ratio": 3, "latency_ratio": 3})
    assert outcome(new, old, lenient) == "pass"
    assert outcome(new, old, lenient.model_copy(update={"error_rate": 0.02})) == "fail"
    assert outcome(new, old, lenient.model_copy(update={"min_requests": 1001})) == "inconclusive"


def test_sentences_have_the_figures_in_them() -> None:
    assert decide(counts(1234, 100), counts(9000, 9), SETTINGS).sentence == (
        "the new slot fails 8.1 % of requests (100 of 1,234): more than the 5 % that are allowed"
    )
    assert decide(counts(2000, 30), counts(9000, 9), SETTINGS).sentence == (
        "the new slot fails 1.5 % of requests (30 of 2,000), the old slot 0.1 % of requests (9 of 9,000): "
        "more than 2 times as many"
    )
    assert decide(counts(2000, 0, 900), counts(9000, 0, 300), SETTINGS).sentence == (
        "the new slot answers 95 % of 2,000 requests within 900 ms, the old slot within 300 ms (of 9,000): "
        "more than 2 times as slow"
    )
    assert "12 on the new slot and 108 on the old" in decide(counts(12), counts(108), SETTINGS).sentence


tallies = st.builds(
    lambda requests, share, times: counts(requests, int(requests * share), *times),
    st.integers(0, 20_000),
    st.floats(0, 1) | st.floats(0, 0.02),
    st.lists(st.integers(0, 5000), min_size=1, max_size=5),
)


@given(tallies, tallies)
def test_a_verdict_is_plain_data_with_its_counts(new: Tally, old: Tally) -> None:
    verdict = decide(new, old, SETTINGS)
    data = json.loads(json.dumps(verdict.to_json()))
    assert data["new"] == {"requests": new.requests, "errors": new.errors, "p95": new.quantile(0.95)}
    assert data["old"] == {"requests": old.requests, "errors": old.errors, "p95": old.quantile(0.95)}
    assert (data["outcome"], data["sentence"], data["fast"]) == (verdict.outcome, verdict.sentence, verdict.fast)


@given(tallies, tallies, st.integers(1, 1000))
def test_more_errors_never_make_it_better(new: Tally, old: Tally, more: int) -> None:
    assume(new.errors < new.requests)
    worse = replace(new, errors=min(new.requests, new.errors + more))
    if outcome(new, old) == "fail":
        assert outcome(worse, old) == "fail"
    if outcome(worse, old) == "pass":
        assert outcome(new, old) == "pass"


@given(st.integers(200, 1_000_000), st.integers(200, 1_000_000), st.integers(0, 4), st.integers(0, 1_000_000))
def test_below_five_errors_no_comparison_fails(requests: int, others: int, errors: int, other_errors: int) -> None:
    old = counts(others, min(others, other_errors))
    assert outcome(counts(requests, errors), old, GENEROUS) == "pass"


@given(tallies)
def test_the_same_on_both_sides_never_fails_by_comparison(side: Tally) -> None:
    assume(side.error_rate < 0.5)
    assert outcome(side, side, GENEROUS) == ("pass" if side.requests >= 200 else "inconclusive")


@given(tallies, tallies)
def test_of_two_releases_at_most_one_is_worse(one: Tally, other: Tally) -> None:
    assume(max(one.error_rate, other.error_rate) < 0.5)
    one, other = replace(one, latencies={}), replace(other, latencies={})
    assert [outcome(one, other, GENEROUS), outcome(other, one, GENEROUS)].count("fail") <= 1


def after(*looks: Look, start: Judgement | None = None) -> Judgement:
    judgement = start or Judgement()
    for look in looks:
        judgement = follow(judgement, look, SETTINGS)
    return judgement


GOOD = Look(counts(500, 0), counts(500, 0))
BAD = Look(counts(500, 50), counts(500, 0))
THIN = Look(counts(20, 0), counts(180, 0))


def test_two_failing_looks_in_a_row_roll_back() -> None:
    once = after(GOOD, BAD)
    assert once.failure is None
    assert once.suspicion is not None
    assert once.latest is not None
    assert once.latest.outcome == "fail"
    twice = after(BAD, start=once)
    assert twice.failure is not None
    assert conclude(twice, SETTINGS) == twice.failure


def test_one_burst_of_errors_is_not_counted_twice() -> None:
    judgement = after(BAD, THIN, THIN)
    assert judgement.failure is None
    assert judgement.suspicion is not None


def test_as_many_requests_without_a_failure_clear_a_failing_look() -> None:
    judgement = after(BAD, replace(GOOD, new=counts(499)))
    assert judgement.suspicion is not None
    judgement = after(Look(counts(1), counts(1)), start=judgement)
    assert judgement.suspicion is None
    assert after(BAD, start=judgement).failure is None


def test_a_step_that_ends_on_a_failing_look_is_no_pass() -> None:
    verdict = conclude(after(*[GOOD] * 4, BAD), SETTINGS)
    assert verdict.outcome == "inconclusive"
    assert "no second look" in verdict.sentence
    assert conclude(after(*[GOOD] * 4, BAD, *[GOOD] * 20), SETTINGS).outcome == "pass"


def test_thin_traffic_adds_up_and_too_little_is_inconclusive() -> None:
    assert conclude(after(*[THIN] * 9), SETTINGS).outcome == "inconclusive"
    assert conclude(after(*[THIN] * 10), SETTINGS).outcome == "pass"
    assert conclude(after(), SETTINGS).outcome == "inconclusive"


def test_most_requests_failing_rolls_back_at_once_however_good_it_was_before() -> None:
    judgement = after(*[GOOD] * 100, Look(counts(20, 10), counts(180)))
    assert judgement.failure is not None
    assert judgement.failure.fast


def test_a_restart_rolls_back_at_once() -> None:
    failure = after(GOOD, Look(restarted=("h1: shop-green",))).failure
    assert failure is not None
    assert failure.fast
    assert "h1: shop-green" in failure.sentence


def test_three_failed_probes_in_a_row_roll_back_at_once() -> None:
    silent = replace(GOOD, unready=("h1",))
    assert after(silent, silent, GOOD, silent, silent).failure is None
    failure = after(silent, silent, silent).failure
    assert failure is not None
    assert "h1" in failure.sentence


def test_the_first_failure_is_the_one_that_is_told() -> None:
    judgement = after(Look(restarted=("h1: shop-green",)))
    assert after(BAD, BAD, start=judgement).failure == judgement.failure


def test_an_hour_of_good_answers_does_not_hide_bad_ones() -> None:
    bad = Look(counts(500, 15), counts(500, 0))
    assert after(*[GOOD] * 360, *[bad] * 5).failure is not None


def test_without_traffic_the_old_slot_is_what_it_was_before() -> None:
    start = Judgement(baseline=counts(5000, 5))
    good, bad = Look(counts(500, 1)), Look(counts(500, 20))
    assert conclude(after(*[good] * 4, start=start), SETTINGS).outcome == "pass"
    assert after(*[good] * 360, *[bad] * 5, start=start).failure is not None


def drawn(rng: random.Random, requests: int, rate: float) -> Tally:
    return Tally(requests, sum(rng.random() < rate for _ in range(requests)))


def timed(rng: random.Random, requests: int, factor: float, tail: float) -> Tally:
    """Log-normal latencies around 20 ms times `factor`; that part of them which `tail` says is 40 times as long."""
    factors = (factor * (40 if rng.random() < tail else 1) for _ in range(requests))
    return Tally(requests, 0, dict(Counter(int(rng.lognormvariate(3, 0.5) * factor) for factor in factors)))


def taken_back(rng: random.Random, pool: list[Look], steps: int, looks: int = LOOKS) -> int:
    """How many of so many steps, each of so many looks from the pool."""
    return sum(after(*rng.choices(pool, k=looks)).failure is not None for _ in range(steps))


SPLITS = pytest.mark.parametrize(("new", "old"), [(20, 180), (100, 100)])


@pytest.mark.slow
@SPLITS
@pytest.mark.parametrize("rate", [0.001, 0.005, 0.01, 0.02])
def test_equal_error_rates_are_hardly_ever_taken_back(rate: float, new: int, old: int) -> None:
    rng = random.Random(f"{rate} {new}")
    pool = [Look(drawn(rng, new, rate), drawn(rng, old, rate)) for _ in range(5000)]
    assert taken_back(rng, pool, 400) <= 400 * FALSE_ROLLBACKS


@pytest.mark.slow
def test_equal_releases_are_hardly_ever_taken_back_in_the_course_of_an_hour() -> None:
    rng = random.Random(1)
    pool = [Look(drawn(rng, 200, 0.01), drawn(rng, 200, 0.01)) for _ in range(5000)]
    assert taken_back(rng, pool, 50, looks=360) <= 50 * FALSE_ROLLBACKS


@pytest.mark.slow
@SPLITS
@pytest.mark.parametrize("tail", [0.01, 0.05])
def test_equal_latencies_are_hardly_ever_taken_back(tail: float, new: int, old: int) -> None:
    """With a tail of 5 %, p95 is now among the fast answers and now among the slow ones."""
    rng = random.Random(f"{tail} {new}")
    pool = [Look(timed(rng, new, 1, tail), timed(rng, old, 1, tail)) for _ in range(1000)]
    assert taken_back(rng, pool, 100) <= 100 * FALSE_ROLLBACKS


@SPLITS
def test_a_release_that_fails_a_tenth_of_its_requests_is_taken_back(new: int, old: int) -> None:
    rng = random.Random(new)
    pool = [Look(drawn(rng, new, 0.1), drawn(rng, old, 0.001)) for _ in range(1000)]
    assert taken_back(rng, pool, 100) == 100


@SPLITS
def test_a_release_that_is_three_times_slower_is_taken_back(new: int, old: int) -> None:
    rng = random.Random(new)
    pool = [Look(timed(rng, new, 3, 0.01), timed(rng, old, 1, 0.01)) for _ in range(200)]
    assert taken_back(rng, pool, 20) == 20


def test_quantiles_are_times_that_were_measured() -> None:
    assert counts(100, 0, *range(1, 101)).quantile(0.95) == 95
    assert counts(60, 0, *range(1, 61)).quantile(0.95) == 57
    assert counts(1, 0, 7).quantile(0.95) == 7
    assert Tally().quantile(0.95) is None


@given(st.dictionaries(st.integers(0, 9999), st.integers(1, 99), min_size=1), st.floats(0.001, 1))
def test_a_quantile_is_the_first_time_that_enough_are_within(latencies: dict[int, int], fraction: float) -> None:
    times = sorted(Counter(latencies).elements())
    found = Tally(len(times), 0, latencies).quantile(fraction)
    within = [sum(time <= limit for time in times) for limit in sorted(set(times))]
    expected = next(t for t, n in zip(sorted(set(times)), within, strict=True) if n >= fraction * len(times) - 1e-6)
    assert found == expected


@given(tallies, tallies)
def test_two_tallies_are_counted_as_one(one: Tally, other: Tally) -> None:
    both = one + other
    assert (both.requests, both.errors) == (one.requests + other.requests, one.errors + other.errors)
    assert Counter(both.latencies).total() == both.requests
    assert one + Tally() == one
