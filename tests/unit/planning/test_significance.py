"""The two statistics against published figures, against counting every case, and at the size of a busy site."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.planning.significance import fisher_greater, wilson_lower


@pytest.mark.parametrize(
    ("errors", "requests", "bound"),
    [(81, 263, 0.2553), (15, 148, 0.0624), (0, 20, 0.0), (1, 29, 0.0061)],
)
def test_wilson_agrees_with_newcombe_1998_table_i(errors: int, requests: int, bound: float) -> None:
    """His intervals are two-sided at 95 %, so that each side is one of 97.5 %."""
    assert wilson_lower(errors, requests, confidence=0.975) == pytest.approx(bound, abs=5e-5)


@given(st.integers(1, 10_000_000), st.data())
def test_wilson_is_where_the_score_test_is_just_significant(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(1, requests))
    bound = wilson_lower(errors, requests)
    score = (errors / requests - bound) / math.sqrt(bound * (1 - bound) / requests)
    assert 0 < bound < errors / requests
    assert score == pytest.approx(NormalDist().inv_cdf(0.95), rel=1e-3)


@given(st.integers(2, 100_000), st.data())
def test_wilson_rises_with_each_error_and_falls_with_each_good_answer(requests: int, data: st.DataObject) -> None:
    errors = data.draw(st.integers(1, requests - 1))
    assert wilson_lower(errors - 1, requests) < wilson_lower(errors, requests) < wilson_lower(errors + 1, requests)
    assert wilson_lower(errors, requests + 1) < wilson_lower(errors, requests)


@pytest.mark.parametrize(
    ("table", "chance"),
    [
        ((4, 4, 0, 4), 1 / 70),  # the lady who tastes every cup right: Fisher, The Design of Experiments, chapter 2
        ((3, 4, 1, 4), 17 / 70),
        ((10, 13, 2, 17), 0.0004652),  # Fisher's convicted twins; the figure is that of R's fisher.test
    ],
)
def test_fisher_agrees_with_published_tables(table: tuple[int, int, int, int], chance: float) -> None:
    assert fisher_greater(*table) == pytest.approx(chance, rel=1e-4)


def counted(errors: int, requests: int, other_errors: int, other_requests: int) -> Fraction:
    """The same chance, by counting in how many ways the errors may fall."""
    total = errors + other_errors
    ways = [
        math.comb(requests, count) * math.comb(other_requests, total - count)
        for count in range(errors, min(total, requests) + 1)
    ]
    return Fraction(sum(ways), math.comb(requests + other_requests, total))


@pytest.mark.parametrize("requests", range(1, 9))
@pytest.mark.parametrize("other_requests", range(1, 9))
def test_fisher_agrees_with_counting_every_small_table(requests: int, other_requests: int) -> None:
    for errors in range(requests + 1):
        for other_errors in range(other_requests + 1):
            table = (errors, requests, other_errors, other_requests)
            assert fisher_greater(*table) == pytest.approx(float(counted(*table)), rel=1e-9), table


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_fisher_agrees_with_counting_large_tables(requests: int, other_requests: int, data: st.DataObject) -> None:
    table = (data.draw(st.integers(0, requests)), requests, data.draw(st.integers(0, other_requests)), other_requests)
    assert fisher_greater(*table) == pytest.approx(float(counted(*table)), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("rate", [0.0001, 0.01, 0.5])
@pytest.mark.parametrize("deviations", [-3.0, -1.0, 0.0, 1.0, 3.0])
def test_fisher_comes_near_the_normal_law_for_ten_million_requests(rate: float, deviations: float) -> None:
    requests = 10_000_000
    spread = math.sqrt(requests * rate * (1 - rate) / 2)
    half = round(deviations * spread)
    errors = round(requests * rate)
    chance = fisher_greater(errors + half, requests, errors - half, requests)
    assert chance == pytest.approx(1 - NormalDist().cdf((half - 0.5) / spread), rel=0.06)
