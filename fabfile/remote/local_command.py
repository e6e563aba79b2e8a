"""A team's command on this machine: its time, its output and everything that it starts are bounded."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabfile.errors import BadInput

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
KEPT = 1 << 16
"""Bytes of output that are kept: the last ones."""
SHOWN = 40
"""Lines of them that are told."""
PAUSE = 0.02
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the last lines that it wrote to standard output and standard error.

    `status` is None where it was killed before it ended.
    """

    failed: bool
    how: str
    lines: tuple[str, ...]
    status: int | None = None


def run(
    words: Sequence[str],
    folder: Path,
    timeout: float,
    environ: Mapping[str, str] | None = None,
    grace: float = GRACE,
    umask: int = -1,
    stop: threading.Event | None = None,
) -> Ended:
    """Run one command in `folder`, with nothing to read, for at most `timeout` seconds; `environ` and `umask` replace
    our own (-1: it keeps ours).

    Its whole process group ends with it. At the time-out, on Ctrl-C and once `stop` is set (of which a thread hears
    that no signal reaches) the group gets SIGTERM, and SIGKILL after `grace` seconds. Raises BadInput when it cannot be
    started.
    """
    running: _Running | None = None
    try:
        with _signals_wait():
            running = _Running(_start(words, folder, environ, umask))
        in_time = running.follow(timeout, stop)
    finally:
        if running is not None:
            running.end(grace)
    how = f"ended with status {running.status}" if in_time else f"did not end within {timeout:g} s and was killed"
    lines = running.kept.decode(errors="replace").splitlines()[-SHOWN:]
    return Ended(not in_time or running.status != 0, how, tuple(lines), running.status if in_time else None)


def _start(
    words: Sequence[str], folder: Path, environ: Mapping[str, str] | None, umask: int
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=umask,
        )
    except OSError as error:
        raise BadInput(
            f"cannot run `{shlex.join(words)}`: {error.strerror}", f"install {words[0]} on this machine"
        ) from error


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """An interrupt counts only at the end: between a process and its name it would leave the process behind."""
    heard: list[int] = []
    before = {}
    if threading.current_thread() is threading.main_thread():
        caught = [number for number in SIGNALS if callable(signal.getsignal(number))]
        before = {number: signal.signal(number, lambda got, frame: heard.append(got)) for number in caught}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
        for late in heard:
            signal.raise_signal(late)


class _Running:
    """A started command; what it writes is read for as long as it runs, so that it never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout
        self.kept = bytearray()
        self._process, self._pipe = process, process.stdout
        self._open = True
        os.set_blocking(self._pipe.fileno(), False)

    @property
    def status(self) -> int:
        """As a shell tells it, once it has ended."""
        status = self._process.returncode
        return status if status >= 0 else 128 - status

    def follow(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Read until the command ends; False when it still runs after so many seconds, or when it is to stop."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            left = deadline - time.monotonic()
            if left <= 0 or (stop and stop.is_set()):
                return False
            if not self._open:
                time.sleep(min(left, PAUSE))
            elif select.select([self._pipe], [], [], min(left, PAUSE))[0]:
                self._read()
        return True

    def end(self, grace: float) -> None:
        """End what still runs of its group, and read what it left to say."""
        try:
            if self._process.poll() is None:
                self._signal(signal.SIGTERM)
                self.follow(grace)
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()
            for _ in range(16):  # not to its end: a stranger who holds the pipe, too, may write for ever
                self._read()
            self._pipe.close()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _read(self) -> None:
        if not self._open:
            return
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe.fileno(), KEPT)
            self._open = bool(data)
            self.kept += data
            del self.kept[:-KEPT]
