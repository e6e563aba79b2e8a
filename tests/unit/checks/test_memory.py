"""Room for a second process beside the first."""

from __future__ import annotations

import pytest

from fabfile.checks.memory import judge
from tests.unit.checks.seen import facing, of

MIB = 1 << 20


@pytest.mark.parametrize(
    ("available", "swap", "resident", "verdict"),
    [
        (2048, 0, 500, "ok"),
        (564, 0, 500, "ok"),
        (563, 0, 500, "warning"),
        (499, 0, 500, "critical"),
        (300, 300, 500, "warning"),
        (63, 0, 0, "critical"),
        (128, 0, 0, "ok"),
    ],
)
def test_it_must_hold_what_the_first_one_has(available: int, swap: int, resident: int, verdict: str) -> None:
    given = facing(memory_available=available * MIB, swap_free=swap * MIB, resident=resident * MIB)
    assert of(judge, given).verdict == verdict
