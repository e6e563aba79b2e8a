"""Runs steps in order; when one fails, or somebody interrupts, undoes them in reverse and says how that went."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from fabfile.engine.events import Note, StepDone, StepFailed, StepStarted, StepUndone, UndoStarted
from fabfile.engine.run import Run
from fabfile.engine.step import Step
from fabfile.errors import HandsNeeded, Held, Interrupted, RolledBack, TurnoutError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Aftermath:
    """What follows an undo. `look_again` observes the hosts and returns what is not as it was before; `forget` is
    called when nothing is, with the step that failed and why (no step when somebody interrupted)."""

    look_again: Callable[[], list[str]]
    forget: Callable[[str, TurnoutError], None] = lambda step, cause: None


def carry_out(
    steps: Sequence[Step], closing: Sequence[Step], run: Run, aftermath: Aftermath, already: Sequence[Step] = ()
) -> None:
    """Do all steps or none, and then the closing ones, from which nothing is taken back.

    `already` are all steps that an earlier attempt of the same run began, in the order of the run, even those that are
    done again now: everything is undone in that order, the last one first. Raises RolledBack
    when a step failed and all is as before, Interrupted when the operator stopped it (and all is as before), Held when
    a canary waits for a decision, HandsNeeded when undoing failed, something is different, or a closing step failed.
    """
    started: list[Step] = list(already)
    doing = ""
    with _signals(run) as signals:
        try:
            try:
                for step in steps:
                    doing = step.name
                    if doing not in {begun.name for begun in started}:
                        started.append(step)
                    _do(step, run)
                signals.absorb = True
                _close(closing, run)
                return
            except (HandsNeeded, Held):
                raise
            except TurnoutError as error:
                signals.absorb = True
                cause = error
            except Exception as error:
                signals.absorb = True
                cause = TurnoutError(
                    f"internal error: {type(error).__name__}: {error}", "please report it with the log"
                )
                cause.__cause__ = error
        except KeyboardInterrupt:
            cause = Interrupted("interrupted by the operator", "nothing to clean up: type the command again")
        failed = "" if isinstance(cause, Interrupted) else doing
        problems = _take_back(started, run, aftermath, failed, cause)
    _raise(cause, problems, run)


def take_back(steps: Sequence[Step], run: Run, aftermath: Aftermath) -> None:
    """Undo what an earlier attempt of this run did. Raises HandsNeeded when not all is as it was before."""
    cause = Interrupted("taken back by the operator")
    with _signals(run) as signals:
        signals.absorb = True
        problems = _take_back(steps, run, aftermath, "", cause)
    if problems:
        raise _hands_needed(run, cause, problems)


def _take_back(started: Sequence[Step], run: Run, aftermath: Aftermath, failed: str, cause: TurnoutError) -> list[str]:
    run.emit(UndoStarted(cause.fact))
    problems = _undo(started, run)
    try:
        problems += aftermath.look_again()
    except (Exception, KeyboardInterrupt) as error:
        problems.append(f"the hosts could not be looked at afterwards: {_fact(error)}")
    if not problems:
        try:
            aftermath.forget(failed, cause)
        except (Exception, KeyboardInterrupt) as error:
            problems.append(f"all is as it was, but the record of the run could not be removed: {_fact(error)}")
    return problems


def follow_up(steps: Sequence[Step], run: Run) -> None:
    """Do steps that come after the outcome and never change it: one that fails is told, and the next one follows."""
    for step in steps:
        try:
            _do(step, run)
        except KeyboardInterrupt:
            run.emit(Note(f"{step.name} was interrupted; the outcome of {run.verb} stands"))
            return
        except Exception as error:
            fact, details = (error.fact, error.details) if isinstance(error, TurnoutError) else (repr(error), ())
            for line in (f"{step.name} failed, the outcome of {run.verb} stands: {fact}", *details):
                run.emit(Note(line))


def _close(closing: Sequence[Step], run: Run) -> None:
    for step in closing:
        try:
            _do(step, run)
        except Exception as error:  # a defect, too, must not take back what users have written to since
            raise HandsNeeded(
                f"{run.verb} took effect, but then {step.name} failed: {_fact(error)}",
                "nothing was undone; inv status shows what is live, inv deploy.resume does the rest",
                error.details if isinstance(error, TurnoutError) else (),
            ) from error


def _do(step: Step, run: Run) -> None:
    begun = time.monotonic()
    run.emit(StepStarted(step.name, step.title, step.hosts))
    try:
        step.do(run)
    except TurnoutError as error:
        run.emit(StepFailed(step.name, error.fact, time.monotonic() - begun))
        raise
    run.emit(StepDone(step.name, time.monotonic() - begun))


def _undo(started: Sequence[Step], run: Run) -> list[str]:
    problems = []
    for step in reversed(started):
        try:
            step.undo(run)
            run.emit(StepUndone(step.name))
        except (Exception, KeyboardInterrupt) as error:  # one undo that fails must not stop the others
            problems.append(f"undoing {step.name}: {_fact(error)}")
            run.emit(StepUndone(step.name, _fact(error)))
    return problems


def _fact(error: BaseException) -> str:
    return error.fact if isinstance(error, TurnoutError) else repr(error)


def _hands_needed(run: Run, cause: TurnoutError, problems: list[str]) -> HandsNeeded:
    return HandsNeeded(
        f"{run.verb} failed ({cause.fact}) and the hosts are not all as they were",
        "a host that is out of reach gives its traffic back by itself; once it is back: inv deploy.abort",
        [*cause.details, *problems],
    )


def _raise(cause: TurnoutError, problems: list[str], run: Run) -> None:
    if problems:
        raise _hands_needed(run, cause, problems) from cause
    looked = "looked again: traffic, processes, files and nginx are as they were"
    if isinstance(cause, Interrupted):
        raise Interrupted(f"{run.verb} was interrupted and undone; {looked}", cause.hint) from cause
    raise RolledBack(
        f"{run.verb} failed and was rolled back: {cause.fact}", cause.hint, [*cause.details, looked]
    ) from cause


@dataclass
class _Signals:
    """Whether a signal interrupts, or is only answered because undoing must come to its end."""

    absorb: bool = False


@contextmanager
def _signals(run: Run) -> Iterator[_Signals]:
    """Ctrl-C, SIGTERM and a closed terminal interrupt once; from then on they are answered with a word of patience."""
    signals = _Signals()

    def handle(number: int, frame: FrameType | None) -> None:
        if signals.absorb:
            run.emit(Note("finishing what was begun; every command has a time limit, please wait"))
            return
        signals.absorb = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield signals
    finally:
        for number, former in before.items():
            signal.signal(number, former)
