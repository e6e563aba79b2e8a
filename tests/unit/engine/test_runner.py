"""All steps or none: undo in reverse, look afterwards, and say the right thing with the right code."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.engine.events import Event, StepFailed, StepUndone
from fabfile.engine.run import Run
from fabfile.engine.runner import Aftermath, carry_out, take_back
from fabfile.errors import HandsNeeded, Held, Interrupted, RolledBack, TurnoutError
from fabfile.model.paths import Paths
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost


@dataclass
class Recorded:
    """A step that writes down what happens to it."""

    name: str
    log: list[str]
    doing: Callable[[], None] = lambda: None
    undoing: Callable[[], None] = lambda: None
    title: str = ""
    hosts: tuple[str, ...] = ("h1",)

    def preview(self, host: str) -> str:
        return ""

    def do(self, run: Run) -> None:
        self.log.append(f"do {self.name}")
        self.doing()

    def undo(self, run: Run) -> None:
        self.log.append(f"undo {self.name}")
        self.undoing()


@dataclass
class World:
    log: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return Run("r1", "deploy", Fleet({}), Paths("shop"), {}, self.events.append, LocalHost)

    def step(
        self, name: str, doing: Callable[[], None] = lambda: None, undoing: Callable[[], None] = lambda: None
    ) -> Recorded:
        return Recorded(name, self.log, doing, undoing)


def fails(text: str) -> Callable[[], None]:
    def do() -> None:
        raise TurnoutError(text, f"mend {text}")

    return do


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


SAME = Aftermath(list)


def test_steps_run_in_order_and_nothing_is_undone() -> None:
    world = World()
    carry_out([world.step("a"), world.step("b")], [], world.run, SAME)
    assert world.log == ["do a", "do b"]


@given(count=st.integers(1, 8), broken=st.integers(0, 7))
def test_a_failing_step_and_all_before_it_are_undone_in_reverse(count: int, broken: int) -> None:
    broken = min(broken, count - 1)
    world = World()
    steps = [world.step(str(i), fails("it broke") if i == broken else lambda: None) for i in range(count)]
    with pytest.raises(RolledBack) as error:
        carry_out(steps, [], world.run, SAME)
    done = [f"do {i}" for i in range(broken + 1)]
    assert world.log == done + [f"undo {i}" for i in range(broken, -1, -1)]
    assert (error.value.code, error.value.hint) == (6, "mend it broke")
    assert "as they were" in error.value.details[-1]


def test_an_undo_that_fails_does_not_stop_the_others_and_needs_hands() -> None:
    world = World()
    steps = [world.step("a"), world.step("b", undoing=fails("no way back")), world.step("c", fails("it broke"))]
    with pytest.raises(HandsNeeded) as error:
        carry_out(steps, [], world.run, SAME)
    assert world.log[-3:] == ["undo c", "undo b", "undo a"]
    assert "it broke" in error.value.fact
    assert error.value.details == ("undoing b: no way back",)
    assert error.value.code == 7


def test_a_host_that_is_not_as_it_was_needs_hands_though_every_undo_worked() -> None:
    world = World()
    with pytest.raises(HandsNeeded) as error:
        carry_out(
            [world.step("a", fails("it broke"))],
            [],
            world.run,
            Aftermath(lambda: ["h1: the live slot was blue, now green"]),
        )
    assert "h1: the live slot was blue, now green" in error.value.details


def test_a_look_that_fails_needs_hands() -> None:
    world = World()

    def blind() -> list[str]:
        raise TurnoutError("h1: no connection")

    with pytest.raises(HandsNeeded, match="it broke"):
        carry_out([world.step("a", fails("it broke"))], [], world.run, Aftermath(blind))


def test_ctrl_c_undoes_and_a_second_one_does_not_stop_the_undo() -> None:
    world = World()
    steps = [world.step("a", undoing=ctrl_c), world.step("b", ctrl_c)]
    with pytest.raises(Interrupted) as error:
        carry_out(steps, [], world.run, SAME)
    assert world.log == ["do a", "do b", "undo b", "undo a"]
    assert error.value.code == 130


def test_sigterm_counts_as_ctrl_c() -> None:
    world = World()
    with pytest.raises(Interrupted):
        carry_out([world.step("a", lambda: os.kill(os.getpid(), signal.SIGTERM))], [], world.run, SAME)
    assert world.log == ["do a", "undo a"]


def test_a_defect_in_a_step_is_undone_too() -> None:
    world = World()

    def defect() -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(RolledBack, match="internal error: ZeroDivisionError: oops"):
        carry_out([world.step("a", defect)], [], world.run, SAME)
    assert world.log == ["do a", "undo a"]


def test_signal_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    world = World()
    carry_out([world.step("a")], [], world.run, SAME)
    assert signal.getsignal(signal.SIGTERM) is before


def test_events_tell_failure_and_undo() -> None:
    world = World()
    with pytest.raises(RolledBack):
        carry_out([world.step("a"), world.step("b", fails("it broke"))], [], world.run, SAME)
    assert [e.fact for e in world.events if isinstance(e, StepFailed)] == ["it broke"]
    assert [e.step for e in world.events if isinstance(e, StepUndone)] == ["b", "a"]


def test_from_a_closing_step_nothing_is_taken_back() -> None:
    world = World()
    with pytest.raises(HandsNeeded, match="took effect, but then b failed: it broke"):
        carry_out([world.step("a")], [world.step("b", fails("it broke"))], world.run, SAME)
    assert world.log == ["do a", "do b"]


def test_a_defect_in_a_closing_step_undoes_nothing() -> None:
    world = World()

    def defect() -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(HandsNeeded, match="took effect, but then b failed"):
        carry_out([world.step("a")], [world.step("b", defect)], world.run, SAME)
    assert world.log == ["do a", "do b"]


def test_ctrl_c_does_not_stop_the_closing_steps() -> None:
    world = World()
    carry_out([world.step("a")], [world.step("b", ctrl_c), world.step("c")], world.run, SAME)
    assert world.log == ["do a", "do b", "do c"]


def test_an_undo_with_a_defect_does_not_stop_the_others() -> None:
    world = World()

    def defect() -> None:
        raise ZeroDivisionError("oops")

    with pytest.raises(HandsNeeded):
        carry_out([world.step("a"), world.step("b", fails("it broke"), defect)], [], world.run, SAME)
    assert world.log[-2:] == ["undo b", "undo a"]


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    """`nohup inv deploy` must not be undone when its terminal closes."""
    world = World()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        carry_out([world.step("a", lambda: os.kill(os.getpid(), signal.SIGHUP))], [], world.run, SAME)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert world.log == ["do a"]


def test_what_an_earlier_attempt_did_is_undone_with_the_rest() -> None:
    world = World()
    earlier = world.step("a")
    with pytest.raises(RolledBack):
        carry_out([world.step("b", fails("it broke"))], [], world.run, SAME, already=[earlier])
    assert world.log == ["do b", "undo b", "undo a"]


def test_what_is_done_again_is_still_undone_in_the_order_of_the_run() -> None:
    """The new release must not be stopped, by undoing its start, while the switch still sends users to it."""
    world = World()
    earlier = [world.step(name) for name in ("start", "prove", "switch", "settle")]
    again = [world.step("start"), world.step("prove", fails("it broke")), world.step("settle")]
    blamed: list[str] = []
    with pytest.raises(RolledBack):
        carry_out(again, [], world.run, Aftermath(list, lambda step, cause: blamed.append(step)), already=earlier)
    assert world.log == ["do start", "do prove", "undo settle", "undo switch", "undo prove", "undo start"]
    assert blamed == ["prove"]


def test_a_held_canary_is_left_as_it_is() -> None:
    world = World()

    def too_quiet() -> None:
        raise Held("34 requests are too few")

    with pytest.raises(Held) as error:
        carry_out([world.step("a"), world.step("gate", too_quiet)], [], world.run, SAME)
    assert world.log == ["do a", "do gate"]
    assert error.value.code == 8


def test_the_record_goes_only_when_all_is_as_before() -> None:
    forgotten: list[str] = []

    def forget(step: str, cause: TurnoutError) -> None:
        forgotten.append(f"{step}: {cause.fact}")

    world = World()
    steps = [world.step("a", fails("it broke"))]
    with pytest.raises(HandsNeeded):
        carry_out(steps, [], world.run, Aftermath(lambda: ["h1: differs"], forget))
    assert forgotten == []
    with pytest.raises(RolledBack):
        carry_out(steps, [], world.run, Aftermath(list, forget))
    assert forgotten == ["a: it broke"]


def test_taking_back_undoes_in_reverse_and_says_what_differs() -> None:
    world = World()
    steps = [world.step("a"), world.step("b")]
    take_back(steps, world.run, SAME)
    assert world.log == ["undo b", "undo a"]
    with pytest.raises(HandsNeeded, match="taken back by the operator"):
        take_back(steps, world.run, Aftermath(lambda: ["h1: differs"]))
