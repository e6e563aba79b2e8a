"""Taking the lease: a refusal that says who, what for, and what to type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fabfile.engine.lease import take
from fabfile.errors import Locked
from fabfile.model.observed import BY_HAND
from fabfile.model.paths import Paths
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost


class World:
    """A host on this machine."""

    def __init__(self, folder: Path) -> None:
        self.fleet = Fleet({"h1": LocalHost("h1")})
        self.paths = Paths("shop", base=str(folder))

    def take(self, run: str, reason: str = "deploy 1.0") -> dict[str, int]:
        return take(self.fleet, ("h1",), self.paths, run, "ann@laptop", reason, 7200)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_run_that_holds_it_is_named_with_the_ways_on(world: World) -> None:
    world.take("r1")
    with pytest.raises(Locked) as refused:
        world.take("r2")
    assert refused.value.fact == "h1 is locked by ann@laptop for: deploy 1.0"
    assert "--lock-wait=10m" in refused.value.hint


def test_a_freeze_by_hand_is_named_with_its_end(world: World) -> None:
    world.take(f"{BY_HAND}r1", reason="database move = all day")
    with pytest.raises(Locked) as refused:
        world.take("r2")
    expected = r"h1 is locked by ann@laptop for: database move = all day \(until \d{4}-\d\d-\d\d \d\d:\d\d \w+\)"
    assert re.fullmatch(expected, refused.value.fact)
    assert refused.value.hint.endswith("inv lock.release")
    assert "--lock-wait" not in refused.value.hint
