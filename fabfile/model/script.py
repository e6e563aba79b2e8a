"""A program for a host's bash, and what came of running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Script:
    """A bash program; its text holds no secret, because a plan prints it and `ps` may show it.

    `timeout` is in seconds and ends the whole remote process group. `mutates` says whether the host may differ
    afterwards: a read-only host refuses such a script. `stdin` is what the program reads: bytes (which may be secret
    and are never printed) or a local file. `library` is shell functions that the text calls; a plan leaves them out.
    """

    text: str
    timeout: float
    mutates: bool = False
    stdin: bytes | Path = field(default=b"", repr=False)
    library: str = field(default="", repr=False)

    def then(self, following: Script) -> Script:
        """Both, one after the other; the second only if the first succeeded. Neither may read standard input."""
        library = self.library if following.library in self.library else self.library + following.library
        text = f"(\n{self.text})\n(\n{following.text})\n"
        return Script(text, self.timeout + following.timeout, self.mutates or following.mutates, library=library)


@dataclass(frozen=True)
class Result:
    """What a script that ended with status 0 printed, and how long it took in seconds."""

    stdout: str
    stderr: str
    seconds: float
