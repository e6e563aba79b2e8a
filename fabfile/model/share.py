"""Which clients get which slot: the whole of them the live one, but for a canary's share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fabfile.model.observed import Slot, other

CANARY, STABLE = "canary", "stable"
"""Buckets of their own, for testers who ask for a side by the cookie `turnout`."""


@dataclass(frozen=True)
class Share:
    """`live` is the slot of the many; `percent` (0 to 99) of the clients get the other one."""

    live: Slot
    percent: int = 0

    @property
    def name(self) -> str:
        """As the directory on the host is called: `blue`, or `blue-10` for 10 % on green."""
        return f"{self.live}-{self.percent}" if self.percent else self.live

    @property
    def to_green(self) -> tuple[str, ...]:
        """The buckets that green serves. A canary has the first ones, so whoever is in it at 10 % still is at 50 %."""
        canary = [str(bucket) for bucket in range(1, self.percent + 1)]
        stable = [str(bucket) for bucket in range(self.percent + 1, 101)]
        if not self.percent:  # nobody runs in the other slot, so testers get what all get
            return (*stable, CANARY, STABLE) if self.live == "green" else ()
        return (*canary, CANARY) if self.live == "blue" else (*stable, STABLE)

    @property
    def canary(self) -> Slot:
        """The slot of the few."""
        return other(self.live)

    @staticmethod
    def parse(name: str) -> Share | None:
        """The share of that name, or None where it is no name of one."""
        match = re.fullmatch(r"(blue|green)(?:-([1-9][0-9]?))?", name)
        if match is None:
            return None
        return Share("blue" if match[1] == "blue" else "green", int(match[2] or 0))
