"""What a machine takes of the one that it runs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.errors import Refused
from fabfile.lab.nodes import make_room


@pytest.mark.parametrize(("machines", "limit"), [(4, 128), (8, 128), (9, 200), (32, 384)])
def test_many_machines_raise_the_limit_they_would_fail_at_and_few_leave_it(
    tmp_path: Path, machines: int, limit: int
) -> None:
    file = tmp_path / "max_user_instances"
    file.write_text("128\n")
    make_room(machines, file)
    assert int(file.read_text()) == limit


def test_a_limit_that_cannot_be_set_is_named_with_the_number_that_is_needed() -> None:
    fixed = Path("/proc/sys/kernel/ngroups_max")
    with pytest.raises(Refused, match="5000 machines") as raised:
        make_room(5000, fixed)
    assert f"={int(fixed.read_text()) + 40000}" in raised.value.hint
