"""What a check found: where it looked, what is there, how bad that is, and what to type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "critical", "not applicable", "could not look"]
GREEN: tuple[Verdict, ...] = ("ok", "not applicable")
"""Verdicts that leave nothing to do."""
TYPED = re.compile(r"(?:^|.*: )((?:inv|chmod|ssh|sudo) [^;…]+)$", re.DOTALL)


@dataclass(frozen=True)
class Remedy:
    """`command` is typed as it stands: `on` a host as `user`, or here, in the project, where `on` is empty. `note` says
    what to know before, or what to do where no command does it."""

    command: str = ""
    on: str = ""
    user: str = ""
    note: str = ""

    @property
    def sentence(self) -> str:
        """Both, as one line for people."""
        place = f"as {self.user} on {self.on}: " if self.on else ""
        return ": ".join(filter(None, (self.note, f"{place}{self.command}" if self.command else "")))


@dataclass(frozen=True)
class Finding:
    """`where` is a host, a bucket, a key of the environment's file, or empty for the environment as a whole."""

    where: str
    verdict: Verdict
    seen: str
    remedy: Remedy | None = None


def fine(where: str, seen: str) -> Finding:
    """Nothing to do."""
    return Finding(where, "ok", seen)


def warning(where: str, seen: str, remedy: Remedy) -> Finding:
    """To be mended soon."""
    return Finding(where, "warning", seen, remedy)


def critical(where: str, seen: str, remedy: Remedy) -> Finding:
    """Users are hit, will be soon, or the next run fails."""
    return Finding(where, "critical", seen, remedy)


def beside_the_point(where: str, why: str) -> Finding:
    """There is nothing to look at, and why that is right."""
    return Finding(where, "not applicable", why)


def unseen(where: str, why: str, remedy: Remedy | None = None) -> Finding:
    """It may be well or not."""
    return Finding(where, "could not look", why, remedy)


def as_root(host: str, command: str, note: str = "") -> Remedy:
    """What root types on a host."""
    return Remedy(command, host, "root", note)


def here(*words: str, note: str = "") -> Remedy:
    """What is typed in the project; each of the words is one."""
    return Remedy(shlex.join(words), note=note)


def from_hint(hint: str) -> Remedy:
    """An error's hint: a command at its end stands alone."""
    match = TYPED.match(hint)
    return Remedy(match[1], note=hint[: match.start(1)].rstrip(": ")) if match else Remedy(note=hint)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The one that matters most; `ok` of none."""
    order: tuple[Verdict, ...] = ("critical", "warning", "could not look", "ok", "not applicable")
    return min(verdicts, key=order.index, default="ok")
