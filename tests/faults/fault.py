"""One fault: what goes wrong, at which moment of which run, and how the run is ended afterwards."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["operator", "power", "cable", "disk", "nginx", "pm2", "clock"]

DEPLOY = ("begin", "upload", "unpack", "place", "start", "prove", "site", "switch", "confirm", "drain", "settle")
ROLLBACK = ("begin", "start", "prove", "site", "switch", "confirm", "drain", "settle")
CLOSING = ("record", "tidy")
RANDOM_INSTANTS = 50
LONGEST = 9.0
"""Seconds within which a random instant lies."""


@dataclass(frozen=True)
class Fault:
    """`event` of `step` is the moment, or `seconds` after the start; `host` is what it happens to, if not the operator.

    `ending` is how the run is ended if it can be either way.
    """

    kind: Kind
    verb: Literal["deploy", "rollback"]
    step: str = ""
    event: Literal["step-started", "step-done"] = "step-started"
    seconds: float = 0.0
    host: str = ""
    ending: Literal["resume", "abort"] = "abort"

    def __str__(self) -> str:
        moment = f"{self.seconds:.2f}s" if not self.step else f"{self.event.removeprefix('step-')}-{self.step}"
        return "-".join(filter(None, (self.verb, moment, self.kind, self.host, self.ending)))


def all_faults(seed: int) -> list[Fault]:
    """Every fault there is, in a random order.

    The operator's machine dies before and after each step and at random instants, each host loses power or its cable at
    each step, and now and then something else breaks.
    """
    rng = random.Random(seed)
    found = list(_at_steps())
    for number in range(RANDOM_INSTANTS):
        verb: Literal["deploy", "rollback"] = "deploy" if number % 2 else "rollback"
        found.append(Fault("operator", verb, seconds=round(rng.uniform(0.5, LONGEST), 2), ending=_ending(number // 2)))
    for number, (kind, step) in enumerate(
        (kind, step) for kind in ("disk", "nginx", "pm2", "clock") for step in ("unpack", "prove", "switch", "drain")
    ):
        found.append(Fault(kind, "deploy", step, host=_host(number), ending=_ending(number)))  # type: ignore[arg-type]
    rng.shuffle(found)
    return found


def _at_steps() -> Iterable[Fault]:
    number = 0
    for verb, steps in (("deploy", DEPLOY), ("rollback", ROLLBACK)):
        for step in (*steps, *CLOSING):
            for event in ("step-started", "step-done"):
                number += 1
                yield Fault("operator", verb, step, event, ending=_ending(number))  # type: ignore[arg-type]
            for host in ("h1", "h2"):
                for kind in ("power", "cable"):
                    number += 1
                    yield Fault(kind, verb, step, host=host, ending=_ending(number))  # type: ignore[arg-type]


def _ending(number: int) -> Literal["resume", "abort"]:
    return "resume" if number % 2 else "abort"


def _host(number: int) -> str:
    return f"h{1 + number % 2}"
