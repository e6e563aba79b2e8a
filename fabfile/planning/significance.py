"""Are counts more than chance: Wilson's bound of one rate, Fisher's exact test of two."""

from __future__ import annotations

import math
from statistics import NormalDist


def wilson_lower(errors: int, requests: int, confidence: float = 0.95) -> float:
    """The one-sided lower bound of the true error rate; 0 without any request.

    E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927); the form
    without continuity correction in R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, method 3.
    """
    if not errors:
        return 0.0
    z = NormalDist().inv_cdf(confidence)
    rate, square = errors / requests, z * z
    spread = z * math.sqrt(square + 4 * errors * (1 - rate))
    return (2 * errors + square - spread) / (2 * (requests + square))


def fisher_greater(errors: int, requests: int, other_errors: int, other_requests: int) -> float:
    """The chance of at least `errors` in the first of two groups when both have the same true rate.

    R. A. Fisher, "Statistical Methods for Research Workers", section 21.02: with all margins fixed, the errors of the
    first group follow the hypergeometric distribution. Its tail is summed away from the mode, where terms shrink, so
    that the work is a few standard deviations of it: some ten thousand terms for groups of 10^7.
    """
    total = errors + other_errors
    # The whole number nearest below the mode, (requests + 1)(total + 1) / (N + 2).
    mode = (requests + 1) * (total + 1) // (requests + other_requests + 2)
    if errors > mode:
        return min(1.0, _tail(errors, requests, total, other_requests))
    # At most errors - 1 here is at least other_errors + 1 there.
    return 1.0 - min(1.0, _tail(other_errors + 1, other_requests, total, requests))


def _tail(errors: int, requests: int, total: int, other_requests: int) -> float:
    """P(X >= errors) for `errors` at or above the mode."""
    if errors > min(total, requests):
        return 0.0
    term = math.exp(
        _log_choose(requests, errors)
        + _log_choose(other_requests, total - errors)
        - _log_choose(requests + other_requests, total)
    )
    tail = term
    for count in range(errors, min(total, requests)):
        term *= (requests - count) * (total - count) / ((count + 1) * (other_requests - total + count + 1))
        tail += term
        if term < tail * 1e-17:
            break
    return tail


def _log_choose(whole: int, part: int) -> float:
    return math.lgamma(whole + 1) - math.lgamma(part + 1) - math.lgamma(whole - part + 1)
