"""Smoke tests carried out: all at once, but for those that use what others capture, and within one time for all."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from fabfile.errors import FleetError, TurnoutError
from fabfile.model.smoke import Attempt, Outcome, Tried
from fabfile.remote.fleet import Fleet

PARALLEL = 8
"""Tests that run at the same time: sshd gives a connection ten sessions, and the run needs some."""
PATIENCE = 6.0
"""Seconds in which those that are called off may end."""


@dataclass(frozen=True)
class Task:
    """A test at one place. `needs` are the names of the tests whose values it uses; `attempt` makes one try with all
    values that were captured so far, and is to end soon once `stop` is set."""

    name: str
    kind: str
    where: str
    attempt: Callable[[Mapping[str, str], threading.Event], Attempt]
    needs: frozenset[str] = frozenset()
    retry: int = 0
    pause: float = 1.0


@dataclass
class Lane:
    """Tests that share what they capture, by name."""

    tasks: Mapping[str, Task]
    values: dict[str, str] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    order: TopologicalSorter[str] = field(init=False)

    def __post_init__(self) -> None:
        self.order = TopologicalSorter({name: task.needs for name, task in self.tasks.items()})
        self.order.prepare()


def carry_out(lanes: Sequence[Sequence[Task]], seconds: float, fleet: Fleet) -> list[Tried]:
    """What came of every test, in their order; lanes share nothing.

    Raises FleetError where a host failed, and not the release. On Ctrl-C and when the time is over, what runs is ended:
    on the hosts of `fleet` as well.
    """
    found = _Round([Lane({task.name: task for task in tasks}) for tasks in lanes], fleet)
    return found.run(seconds)


@dataclass(frozen=True)
class _Ended:
    """A test's thread has ended: with a verdict and what it captured, or with an error."""

    lane: Lane
    task: Task
    verdict: Tried | None
    captured: Mapping[str, str]
    error: BaseException | None = None


class _Round:
    def __init__(self, lanes: Sequence[Lane], fleet: Fleet) -> None:
        self._lanes, self._fleet = lanes, fleet
        self._stop = threading.Event()
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._waiting: list[tuple[Lane, Task]] = []
        self._running: dict[tuple[int, str], tuple[threading.Thread, float]] = {}
        self._verdicts: dict[tuple[int, str], Tried] = {}
        self._errors: list[BaseException] = []

    def run(self, seconds: float) -> list[Tried]:
        try:  # around a call: Python 3.11 leaves out what is `finally` for a Ctrl-C at some instructions of a loop
            self._follow(seconds)
        finally:
            self._call_off()
        self._raise()
        places = [(id(lane), name) for lane in self._lanes for name in lane.tasks]
        return [self._verdicts[place] for place in places]

    def _follow(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._begin():
            left = deadline - time.monotonic()
            if left <= 0:
                self._time_is_over(seconds)
                return
            with contextlib.suppress(queue.Empty):  # short waits, so that a signal is handled at once
                self._take(self._ended.get(timeout=min(left, 0.2)))

    def _begin(self) -> bool:
        """Start what can be; whether anything runs."""
        for lane in self._lanes:
            while ready := lane.order.get_ready():
                for task in (lane.tasks[name] for name in ready):
                    if lacking := sorted(task.needs - lane.passed):
                        self._skip(lane, task, f"not run, because {lacking[0]} did not pass")
                        lane.order.done(task.name)
                    else:
                        self._waiting.append((lane, task))
        while self._waiting and len(self._running) < PARALLEL:
            lane, task = self._waiting.pop(0)
            thread = threading.Thread(target=self._work, args=(lane, task, dict(lane.values)), daemon=True)
            self._running[id(lane), task.name] = thread, time.monotonic()
            thread.start()
        return bool(self._running)

    def _work(self, lane: Lane, task: Task, values: Mapping[str, str]) -> None:
        began, tries = time.monotonic(), 0
        try:
            while True:
                tries += 1
                found = task.attempt(values, self._stop)
                if not found.problems or tries > task.retry or self._stop.wait(task.pause):
                    break
        except BaseException as error:  # raised where it is waited for
            self._ended.put(_Ended(lane, task, None, {}, error))
            return
        outcome: Outcome = "failed" if found.problems else "passed"
        seconds, why = round(time.monotonic() - began, 3), "; ".join(found.problems)
        verdict = Tried(task.name, task.kind, task.where, outcome, seconds, tries, why)
        self._ended.put(_Ended(lane, task, verdict, found.captured))

    def _take(self, ended: _Ended) -> None:
        lane, task = ended.lane, ended.task
        del self._running[id(lane), task.name]
        if ended.error:
            self._errors.append(ended.error)
            self._skip(lane, task, "not tried to its end")
        elif ended.verdict:
            self._verdicts[id(lane), task.name] = ended.verdict
            if ended.verdict.outcome == "passed":
                lane.passed.add(task.name)
                lane.values.update(ended.captured)
        lane.order.done(task.name)

    def _skip(self, lane: Lane, task: Task, why: str) -> None:
        self._verdicts[id(lane), task.name] = Tried(task.name, task.kind, task.where, "skipped", 0.0, 0, why)

    def _time_is_over(self, seconds: float) -> None:
        for lane in self._lanes:
            for task in lane.tasks.values():
                if running := self._running.get((id(lane), task.name)):
                    took = round(time.monotonic() - running[1], 3)
                    why = f"not passed when the {seconds:g} s for all tests were over"
                    verdict = Tried(task.name, task.kind, task.where, "failed", took, 1, why)
                    self._verdicts[id(lane), task.name] = verdict
                elif (id(lane), task.name) not in self._verdicts:
                    self._skip(lane, task, f"not run: the {seconds:g} s for all tests were over")

    def _call_off(self) -> None:
        """End what still runs; a thread that does not hear of it ends by itself, and nobody waits for it."""
        self._stop.set()
        if not self._running:
            return
        until = time.monotonic() + PATIENCE
        for host in self._fleet.hosts.values():
            host.interrupt()
        for thread, _ in self._running.values():
            thread.join(max(0.0, until - time.monotonic()))
        for host in self._fleet.hosts.values():
            host.resume()

    def _raise(self) -> None:
        expected = [error for error in self._errors if isinstance(error, TurnoutError)]
        for error in self._errors:
            if not isinstance(error, TurnoutError):
                raise error
        if expected:
            raise FleetError(expected)
