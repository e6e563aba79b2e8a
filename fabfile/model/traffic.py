"""What the access log says of a slot: how many requests it got, how many failed, how long they took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from fabfile.model.observed import Slot


@dataclass(frozen=True)
class Position:
    """A place between two lines of a log: bytes from the start of the file with that inode, whatever its name is.

    `Position(0, 0)` is the start of a log that does not exist yet.
    """

    inode: int
    offset: int


@dataclass(frozen=True)
class Tally:
    """Requests that reached a slot first, those among them that failed, and how many took how many milliseconds.

    A request whose time nobody measured is in `requests` and not in `latencies`.
    """

    requests: int = 0
    errors: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)

    def __add__(self, other: Tally) -> Tally:
        """Both, as if they had been counted at once."""
        return Tally.together((self, other))

    @staticmethod
    def together(tallies: Iterable[Tally]) -> Tally:
        """All of them, as if they had been counted at once."""
        requests = errors = 0
        latencies: dict[int, int] = {}
        for tally in tallies:
            requests, errors = requests + tally.requests, errors + tally.errors
            for milliseconds, count in tally.latencies.items():
                latencies[milliseconds] = latencies.get(milliseconds, 0) + count
        return Tally(requests, errors, latencies)

    @property
    def error_rate(self) -> float:
        """The fraction of requests that failed; 0 when there were none."""
        return self.errors / self.requests if self.requests else 0.0

    def quantile(self, fraction: float) -> int | None:
        """The fewest milliseconds within which at least that fraction of the measured requests was answered.

        The nearest rank, definition 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
        Statistician 50 (1996): always a time that was measured. None when none was.
        """
        # A product such as 0.95 * 60 may come out a little above the whole number that it is.
        rank = max(1, math.ceil(fraction * sum(self.latencies.values()) - 1e-6))
        seen = 0
        for milliseconds in sorted(self.latencies):
            seen += self.latencies[milliseconds]
            if seen >= rank:
                return milliseconds
        return None

    def slower_than(self, milliseconds: float) -> int:
        """How many of the measured requests took longer."""
        return sum(count for time, count in self.latencies.items() if time > milliseconds)


class Reading(NamedTuple):
    """One look at a log: where the next one begins, what each slot did, lines read, and what could not be counted."""

    position: Position
    tallies: Mapping[Slot, Tally]
    lines: int
    notes: tuple[str, ...]
