"""`inv status` tells a run that ended from one that died, also between two steps."""

from __future__ import annotations

import pytest

from fabfile.model.observed import LastRun, Lease
from fabfile.status import _ended


@pytest.mark.parametrize(
    ("step", "result", "ended"),
    [
        ("tidy", "done", True),
        ("freeze", "done", True),
        ("upload", "undone", True),
        ("start", "start", False),
        ("start", "done", False),
        ("start", "failed", False),
        ("start", "undo", False),
    ],
)
def test_only_a_last_step_or_an_undo_ends_a_run(step: str, result: str, ended: bool) -> None:
    assert _ended(LastRun("r1", "deploy", step, result), None) is ended


def test_a_run_that_still_holds_the_lease_has_not_ended() -> None:
    lease = Lease("r1", "ann@laptop", "deploy", 1, -5)
    assert not _ended(LastRun("r1", "deploy", "tidy", "done"), lease)
    assert _ended(LastRun("r0", "deploy", "tidy", "done"), lease)
