"""How a script travels: over standard input, whole or not at all, under a time limit for its process group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fabfile.commands.shell import PREAMBLE, words
from fabfile.errors import RemoteError, RemoteTimeout
from fabfile.model.script import Script

GRACE = 5
CHUNK = 32_704
"""Bytes per write: the largest that Paramiko sends as one packet without slicing again."""

TIMED_OUT = (124, 137)
LOADER = r"""IFS= read -r -d "" program || exit 90; printf "\001%s\n" "$PPID"; eval "$program" """


def command(timeout: float) -> str:
    """The command line that reads a NUL-terminated program from standard input and runs it within `timeout` seconds.

    It first says the id of the process group behind a mark (a login shell's own words may come before), so that an
    interrupt can end it. A connection that is cut before the NUL arrives runs nothing.
    """
    return "exec " + words("timeout", "-k", str(GRACE), f"{timeout:.0f}", "bash", "-c", LOADER, "turnout")


class Announced:
    """Takes the id of the process group, and what a login shell said before it, off the output."""

    def __init__(self) -> None:
        self.group = ""
        self._head = b""

    def strip(self, data: bytes) -> bytes:
        """The program's own part of what was read."""
        if self.group:
            return data
        self._head += data
        match = re.search(rb"\x01(\d+)\n", self._head)
        if match is None:
            return b""
        self.group, rest = match[1].decode(), self._head[match.end() :]
        return rest


def payload(script: Script, stdin: Iterable[bytes] | None) -> Iterator[bytes]:
    """The program, its NUL, and then its own standard input in small chunks."""
    yield (PREAMBLE + script.library + script.text).encode() + b"\0"
    if stdin is not None:
        source: Iterable[bytes] = stdin
    elif isinstance(script.stdin, bytes):
        source = [script.stdin]
    else:
        source = _file(script)
    for piece in source:
        view = memoryview(piece)
        for start in range(0, len(view), CHUNK):
            yield bytes(view[start : start + CHUNK])


def _file(script: Script) -> Iterator[bytes]:
    assert not isinstance(script.stdin, bytes)
    with script.stdin.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def failure(host: str, script: Script, status: int, seconds: float, stdout: bytes, stderr: bytes) -> RemoteError:
    """The error for a script that ended with `status`: its own words, its last 100 lines, a hint for a known cause."""
    lines = (stderr or stdout).decode(errors="replace").strip().splitlines()[-100:]
    if status in TIMED_OUT and seconds >= script.timeout - 1:  # a program that is killed has these statuses, too
        return RemoteTimeout(
            host,
            f"did not end within {script.timeout:.0f} s and was killed",
            f"see what keeps {host} busy, then run it again",
            lines,
            status,
        )
    fact = lines[0] if lines else f"ended with status {status}"
    return RemoteError(host, fact, _hint(host, " ".join(lines)), lines[1:], status)


def _hint(host: str, text: str) -> str:
    if "No space left on device" in text:
        return "free some space on that host, or lower release.keep"
    if re.search(r"sudo: .*(password is required|not allowed)", text):
        return "the deploy user needs sudo without a password for: nginx -t, systemctl reload nginx"
    return f"see what {host} says of itself, then run it again; inv status shows its state"
