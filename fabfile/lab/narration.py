"""How a story is told: each step with its time and the output of the real command, and what became of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from fabfile.errors import TurnoutError
from fabfile.lab.tally import Snapshot

UNDO_SECONDS = 120
LAST_LINES_SECONDS = 5


class Unexpected(TurnoutError):
    """A step ended otherwise than the story goes."""


@dataclass(frozen=True)
class StepTaken:
    """One step of the story; `requests` and `failed` are what users met during it."""

    name: str
    seconds: float
    exit: int
    requests: int = 0
    failed: int = 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Narrator:
    """Takes steps one by one, and keeps what became of them.

    `figures` gives the traffic's figures of the moment, None before there is traffic.
    """

    def __init__(self, figures: Callable[[], Snapshot | None]) -> None:
        self._figures = figures
        self._start = time.monotonic()
        self.steps: list[StepTaken] = []

    @property
    def seconds(self) -> float:
        """Since the story began."""
        return time.monotonic() - self._start

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What happens in here is one step; an error in it goes on its way."""
        with self._taking(name):
            yield

    def command(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str],
        *,
        expected: int = 0,
        answer: bool = False,
    ) -> str:
        """Run a command as a user would, its output indented; return its stdout if that is the `answer`, else nothing.

        Raises:
            Unexpected: it ended with another exit code than `expected`.
        """
        with self._taking(name) as ended:
            say(f"           $ {words[0].rpartition('/')[2]} {' '.join(words[1:])}")
            status, text = run_streamed(words, environment, answer=answer)
            ended(status)
            if status != expected:
                raise Unexpected(f"{name}: exit {status}, where the story has {expected}")
            if expected:
                say(f"           exit {status}, as it should be")
        return text

    @contextmanager
    def _taking(self, name: str) -> Iterator[Callable[[int], None]]:
        began, before, status = time.monotonic(), self._figures(), 0

        def ended(code: int) -> None:
            nonlocal status
            status = code

        say(f"\n[{self.seconds:6.1f} s] {name}")
        try:
            yield ended
        except BaseException as error:
            if not status:
                ended(130 if isinstance(error, KeyboardInterrupt) else 1)
            raise
        finally:
            after, seconds = self._figures(), time.monotonic() - began
            requests = (after.requests if after else 0) - (before.requests if before else 0)
            failed = (after.failed if after else 0) - (before.failed if before else 0)
            self.steps.append(StepTaken(name, round(seconds, 2), status, requests, failed))


def run_streamed(words: Sequence[str], environment: Mapping[str, str], *, answer: bool = False) -> tuple[int, str]:
    """Run a command, its output shown indented, line by line; return its exit code and, for the `answer`, its stdout.

    It has a session of its own: on Ctrl-C it is asked once to undo what it did, and has two minutes for that.
    """
    with tempfile.TemporaryFile("w+") as kept:
        process = subprocess.Popen(
            words,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=kept if answer else subprocess.PIPE,
            stderr=subprocess.PIPE if answer else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        shown = threading.Thread(target=_show, args=(process.stderr if answer else process.stdout,), daemon=True)
        shown.start()
        try:
            status = process.wait()
        except KeyboardInterrupt:
            _interrupt(process)
            raise
        finally:
            # Not for ever: a program that the command left behind may hold its output open.
            shown.join(LAST_LINES_SECONDS)
        kept.seek(0)
        return status, kept.read()


def _show(output: IO[str]) -> None:
    with output:
        for line in output:
            say(f"           {line.rstrip()}")


def _interrupt(process: subprocess.Popen[str]) -> None:
    say(
        f"           Ctrl-C: the command undoes what it did, for at most {UNDO_SECONDS} s; Ctrl-C again ends it at once"
    )
    try:
        # To all of them, as a terminal does it.
        os.killpg(process.pid, signal.SIGINT)
        process.wait(UNDO_SECONDS)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    except ProcessLookupError:
        process.wait()
