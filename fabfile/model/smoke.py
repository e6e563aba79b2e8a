"""What smoke tests ask, what is answered, and what came of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Moment = Literal["idle", "live"]
"""Before the switch, on the idle slot of each host; after it, at the public address."""
RELEASE = "release"
"""The name that stands for the release's id in every test."""
Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Request:
    """One HTTP request; it may hold secrets."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `whole` is whether all of its body is there: one that is too long is cut."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    whole: bool = True

    def header(self, name: str) -> list[str]:
        """Every value of a header, in whatever case it is spelled."""
        return [value for found, value in self.headers if found.lower() == name.lower()]


@dataclass(frozen=True)
class Attempt:
    """What one try of a test showed: what is wrong, and the values that it captured, which are secrets."""

    problems: tuple[str, ...] = ()
    captured: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Tried:
    """What came of one test at one place: `seconds` from its first try to the last one's end, and why it is no pass."""

    test: str
    kind: str
    where: str
    outcome: Outcome
    seconds: float
    tries: int
    why: str = ""
