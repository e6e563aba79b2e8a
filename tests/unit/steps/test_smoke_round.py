"""Smoke tests at once and one after the other: who waits for whom, who is tried again, and when it ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import FleetError, Unreachable
from fabfile.model.smoke import Attempt, Tried
from fabfile.remote.fleet import Fleet
from fabfile.steps.smoke_round import Task, carry_out

NOBODY = Fleet({})
Try = Callable[[Mapping[str, str], threading.Event], Attempt]


def passing(values: Mapping[str, str], stop: threading.Event) -> Attempt:
    return Attempt()


def task(name: str, attempt: Try = passing, *needs: str, retry: int = 0, pause: float = 0.0) -> Task:
    return Task(name, "http", "h1", attempt, frozenset(needs), retry, pause)


def outcomes(found: list[Tried]) -> dict[str, str]:
    return {one.test: one.outcome for one in found}


@dataclass
class Recorder:
    """Tests that write down when they begin and end."""

    failing: frozenset[str] = frozenset()
    log: list[tuple[str, str]] = field(default_factory=list)

    def attempt(self, name: str) -> Try:
        def attempt(values: Mapping[str, str], stop: threading.Event) -> Attempt:
            self.log.append(("begin", name))
            time.sleep(0.001)
            self.log.append(("end", name))
            return Attempt(("no",) if name in self.failing else (), {f"v_{name}": name})

        return attempt


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, frozenset[str]]:
    """Each test needs some of those before it; the order in which they are written is any."""
    names = draw(st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8))
    needs = {
        name: draw(st.frozensets(st.sampled_from(names[:place]), max_size=3)) if place else frozenset[str]()
        for place, name in enumerate(names)
    }
    return {name: needs[name] for name in draw(st.permutations(names))}


@given(graphs(), st.frozensets(st.sampled_from("abcdefgh"), max_size=2))
def test_each_begins_once_what_it_needs_has_passed_and_none_without(
    graph: dict[str, frozenset[str]], failing: frozenset[str]
) -> None:
    recorder = Recorder(failing)
    tasks = [task(name, recorder.attempt(name), *needs) for name, needs in graph.items()]
    found = carry_out([tasks], 30, NOBODY)
    assert [one.test for one in found] == list(graph)
    verdicts = outcomes(found)
    for name, needs in graph.items():
        if all(verdicts[need] == "passed" for need in needs):
            assert verdicts[name] == ("failed" if name in failing else "passed")
            begun = recorder.log.index(("begin", name))
            assert all(recorder.log.index(("end", need)) < begun for need in needs)
        else:
            assert verdicts[name] == "skipped"
            assert ("begin", name) not in recorder.log


def test_what_is_captured_comes_to_those_that_need_it_and_to_no_other_lane() -> None:
    seen: dict[str, Mapping[str, str]] = {}

    def lane(where: str) -> list[Task]:
        def capture(values: Mapping[str, str], stop: threading.Event) -> Attempt:
            return Attempt((), {"token": f"of {where}"})

        def use(values: Mapping[str, str], stop: threading.Event) -> Attempt:
            seen[where] = values
            return Attempt()

        return [
            Task("use", "http", where, use, frozenset({"log-in"})),
            Task("log-in", "http", where, capture),
        ]

    found = carry_out([lane("h1"), lane("h2")], 30, NOBODY)
    assert seen == {"h1": {"token": "of h1"}, "h2": {"token": "of h2"}}
    assert [(one.test, one.where) for one in found] == [
        ("use", "h1"),
        ("log-in", "h1"),
        ("use", "h2"),
        ("log-in", "h2"),
    ]


def test_those_that_need_nothing_run_at_the_same_time() -> None:
    together = threading.Barrier(8)

    def meet(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        together.wait(20)
        return Attempt()

    lanes = [[task(name, meet) for name in "abcd"] for _ in range(2)]
    assert {one.outcome for one in carry_out(lanes, 30, NOBODY)} == {"passed"}


def test_one_is_tried_again_only_where_that_was_said_and_only_until_it_passes() -> None:
    tries: dict[str, int] = {}

    def third(name: str) -> Try:
        def attempt(values: Mapping[str, str], stop: threading.Event) -> Attempt:
            tries[name] = tries.get(name, 0) + 1
            return Attempt(() if tries[name] == 3 else (f"try {tries[name]}",))

        return attempt

    tasks = [
        task("never", third("never")),
        task("twice", third("twice"), retry=1),
        task("more", third("more"), retry=9),
    ]
    found = carry_out([tasks], 30, NOBODY)
    assert outcomes(found) == {"never": "failed", "twice": "failed", "more": "passed"}
    assert [(one.tries, one.why) for one in found] == [(1, "try 1"), (2, "try 2"), (3, "")]
    assert tries == {"never": 1, "twice": 2, "more": 3}


def test_a_pause_lies_between_two_tries() -> None:
    times: list[float] = []

    def attempt(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        times.append(time.monotonic())
        return Attempt(("no",))

    carry_out([[task("a", attempt, retry=1, pause=0.3)]], 30, NOBODY)
    assert times[1] - times[0] >= 0.3


def test_all_end_when_the_time_for_all_is_over() -> None:
    over = threading.Event()

    def hang(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        stop.wait(60)
        over.set()
        return Attempt()

    began = time.monotonic()
    found = carry_out([[task("good"), task("slow", hang), task("after", passing, "slow")]], 0.5, NOBODY)
    assert time.monotonic() - began < 20
    assert over.is_set(), "it was told to stop"
    assert outcomes(found) == {"good": "passed", "slow": "failed", "after": "skipped"}
    assert found[1].why == "not passed when the 0.5 s for all tests were over"
    assert found[1].seconds >= 0.4
    assert found[2].why == "not run: the 0.5 s for all tests were over"


def test_a_host_that_fails_is_no_verdict_on_the_release_and_the_others_end_first() -> None:
    ended = threading.Event()

    def lost(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        raise Unreachable("h2", "the connection broke")

    def late(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        time.sleep(0.3)
        ended.set()
        return Attempt()

    with pytest.raises(FleetError, match="h2: the connection broke"):
        carry_out([[task("lost", lost), task("after", passing, "lost")], [task("late", late)]], 30, NOBODY)
    assert ended.is_set()


def test_a_defect_is_raised_as_it_is() -> None:
    def broken(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        raise KeyError("x")

    with pytest.raises(KeyError):
        carry_out([[task("a", broken)]], 30, NOBODY)


@dataclass
class Recording:
    """A host that writes down that it was interrupted and may go on."""

    name: str = "h1"
    said: list[str] = field(default_factory=list)

    def interrupt(self) -> None:
        self.said.append("interrupt")

    def resume(self) -> None:
        self.said.append("resume")


def test_ctrl_c_ends_what_runs_here_and_on_hosts() -> None:
    host, told = Recording(), threading.Event()

    def hang(values: Mapping[str, str], stop: threading.Event) -> Attempt:
        signal.raise_signal(signal.SIGINT)
        told.set() if stop.wait(20) else None
        return Attempt()

    with pytest.raises(KeyboardInterrupt):
        carry_out([[task("a", hang)]], 60, Fleet({"h1": host}))  # type: ignore[dict-item]
    assert told.is_set()
    assert host.said == ["interrupt", "resume"]


def test_no_tests_are_no_verdicts() -> None:
    assert carry_out([], 1, NOBODY) == carry_out([[]], 1, NOBODY) == []
