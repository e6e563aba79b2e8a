"""Programs of the operator's machine: run one, and say as a fact what went wrong."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fabfile.errors import TurnoutError

PATIENCE_SECONDS = 120


def run(*words: str | Path, text: str = "", check: bool = True, timeout: float = PATIENCE_SECONDS) -> str:
    """Run a program with `text` on its stdin; return its stdout, stripped.

    It has a session of its own: Ctrl-C reaches the lab, which then undoes what it made, and not half of its tools.

    Raises:
        TurnoutError: it is not there, ran longer than `timeout` seconds or, with `check`, exited non-zero.
    """
    try:
        done = subprocess.run(
            [str(word) for word in words],
            input=text,
            text=True,
            capture_output=True,
            timeout=timeout,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise TurnoutError(f"{words[0]}: no such program", "inv lab.up names what is missing") from error
    except subprocess.TimeoutExpired as error:
        raise TurnoutError(f"{_short(words)}: not done after {timeout:.0f} s") from error
    if check and done.returncode:
        raise TurnoutError(f"{_short(words)}: exit {done.returncode}", details=_tail(done.stderr or done.stdout))
    return done.stdout.strip()


def run_long(*words: str | Path, log: Path) -> None:
    """Run a program that takes minutes, its output in `log`; on Ctrl-C let it clean up after itself.

    Raises:
        TurnoutError: it exited with a non-zero status.
    """
    with (
        log.open("w") as out,
        subprocess.Popen(
            [str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            status = process.wait()
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_SECONDS)
            raise
    if status:
        raise TurnoutError(f"{_short(words)}: exit {status}", f"read {log}", _tail(log.read_text(errors="replace")))


def start(*words: str | Path, log: Path) -> None:
    """Start a program that outlives this one, its output appended to `log`."""
    with log.open("a") as out:
        subprocess.run(
            ["setsid", "--fork", *(str(word) for word in words)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            cwd="/",
            check=True,
        )


def _short(words: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in words[:6]) + (" …" if len(words) > 6 else "")


def _tail(output: str) -> list[str]:
    return output.strip().splitlines()[-8:]
