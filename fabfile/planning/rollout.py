"""How traffic moves, from the words on the command line."""

from __future__ import annotations

import math
import re

from fabfile.errors import BadInput
from fabfile.model.plan import Rollout


def parse_rollout(canary: str | None, serial: str | None, step: float, watch: float, hosts: int) -> Rollout:
    """The rollout that was asked for. `step` and `watch` are in seconds. Raises BadInput naming the flag.

    Shares rise; the last one may be 100, and without it the deploy ends with a canary that waits for a decision.
    """
    shares = _shares(canary) if canary else ()
    hold = bool(shares) and shares[-1] != 100
    if hold and (serial or watch):
        raise BadInput(f"--canary={canary} ends before 100, so nothing moves afterwards", "add ,100 to --canary")
    return Rollout(
        canary=tuple(share for share in shares if share != 100),
        step=step,
        watch=watch,
        serial=_serial(serial, hosts) if serial else 0,
        hold=hold,
    )


def _shares(text: str) -> tuple[int, ...]:
    words = text.split(",")
    if not all(re.fullmatch(r"[1-9][0-9]?|100", word.strip()) for word in words):
        raise BadInput(f"--canary={text}: expected percentages from 1 to 100", "such as --canary=10,50,100")
    shares = tuple(int(word) for word in words)
    if list(shares) != sorted(set(shares)):
        raise BadInput(f"--canary={text}: shares must rise", "such as --canary=10,50,100")
    return shares


def _serial(text: str, hosts: int) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,3})(%?)", text.strip())
    if match is None or (match[2] and int(match[1]) > 100):
        raise BadInput(f"--serial={text}: expected a number of hosts or a percentage", "such as --serial=1 or 25%")
    number = int(match[1])
    return max(1, math.floor(hosts * number / 100)) if match[2] else number
