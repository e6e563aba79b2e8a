"""A text in somebody's editor, in memory and nowhere else, and gone afterwards however this ends."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fabfile.errors import BadInput

MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is one's own
GUARD = ("sh", "-c", 'cat > /dev/null; rm -rf -- "$1"', "sh")
"""Ends when nobody holds its standard input any more, also because that one was killed."""


def in_memory() -> bool:
    """Whether this machine has a place for files that are on no disk."""
    return os.access(MEMORY, os.W_OK | os.X_OK)


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder that nobody else can open, in memory where there is such a place, and gone afterwards.

    A guard removes it when this process is killed, too; a machine that loses power forgets it.
    """
    folder = (MEMORY if in_memory() else Path(tempfile.gettempdir())) / f"turnout-{secrets.token_hex(8)}"
    guard = subprocess.Popen(
        [*GUARD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        assert guard.stdin
        guard.stdin.close()
        guard.wait()


def edit(file: Path, environ: Mapping[str, str]) -> None:
    """Open the file in VISUAL, else EDITOR, else vi, and wait for its end. Raises BadInput when it fails."""
    words = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    with _deaf():
        try:
            status = subprocess.run([*words, str(file)]).returncode
        except OSError as error:
            reason = (error.strerror or "it cannot be started").lower()
            raise BadInput(f"the editor {words[0]} does not start: {reason}", "export EDITOR=nano") from None
    if status:
        raise BadInput(f"the editor {words[0]} ended with status {status}: nothing was changed", "try again")


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C in an editor is for the editor."""
    former = signal.signal(signal.SIGINT, lambda *_: None)  # what is ignored would be ignored by the editor, too
    try:
        yield
    finally:
        with contextlib.suppress(TypeError):  # a handler that was not set from Python
            signal.signal(signal.SIGINT, former)
