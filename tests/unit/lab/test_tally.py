"""What counts as failed, and what an outage excuses."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fabfile.lab.tally import KEPT_FAILURES, Request, Sockets, Tally


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def request(since: float) -> Request:
    return Request("GET", "/", "h1", since)


def test_a_problem_is_a_failure_with_its_time_and_reason(clock: Clock) -> None:
    tally = Tally(clock)
    clock.seconds += 2.5
    tally.count(request(2.0), "502", "status 502, not 200")
    tally.count(request(2.5), "200")
    found = tally.snapshot()
    assert (found.requests, found.failed, found.statuses) == (2, 1, {"200": 1, "502": 1})
    assert str(found.failures[0]) == "   2.50 s  h1 GET /: status 502, not 200"


def test_the_first_failures_are_kept_and_all_are_counted(clock: Clock) -> None:
    tally = Tally(clock)
    for number in range(KEPT_FAILURES + 5):
        tally.count(request(0.0), "500", f"number {number}")
    found = tally.snapshot()
    assert found.failed == KEPT_FAILURES + 5
    assert [failure.what for failure in found.failures] == [f"number {n}" for n in range(KEPT_FAILURES)]


@pytest.mark.parametrize(
    ("began", "ended", "apart"),
    [(1, 5, False), (5, 11, True), (12, 13, True), (15, 25, True), (5, 25, True), (21, 25, False)],
)
def test_an_outage_excuses_only_what_it_touches(clock: Clock, began: int, ended: int, apart: bool) -> None:
    tally = Tally(clock)

    def advance(to: int) -> None:
        for second in range(int(clock.seconds - 100), to + 1):
            clock.seconds = 100.0 + second
            if second == ended:
                tally.count(request(float(began)), "503", "status 503, not 200")

    advance(9)
    clock.seconds = 110.0
    with tally.outage():
        advance(20)
    advance(30)
    found = tally.snapshot()
    assert found.outage.statuses == ({"503": 1} if apart else {})
    assert found.failed == (0 if apart else 1)
    assert found.statuses == {"503": 1}
    assert found.outage.seconds == 10.0


def test_an_outage_still_on_has_a_length(clock: Clock) -> None:
    tally = Tally(clock)
    with tally.outage():
        clock.seconds += 4
        assert tally.snapshot().outage.seconds == 4.0


def test_no_outage_excuses_a_dropped_socket(clock: Clock) -> None:
    tally = Tally(clock)
    with tally.outage():
        tally.opened()
        tally.dropped(request(0.0), "cut")
    found = tally.snapshot()
    assert found.sockets == Sockets(opened=1, dropped=1)
    assert [failure.what for failure in found.failures] == ["cut"]
