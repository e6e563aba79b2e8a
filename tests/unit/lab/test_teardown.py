"""Which labs nobody needs any more."""

from __future__ import annotations

import os

from fabfile.lab.teardown import abandoned

NO_PID = 2**22 + 1  # above the kernel's highest


def test_labs_of_dead_test_runs_are_abandoned_and_no_others() -> None:
    names = (f"test-{NO_PID}", f"test-{NO_PID}-second", f"test-{os.getpid()}", "demo", "test-x", "test-")
    assert abandoned(names) == (f"test-{NO_PID}", f"test-{NO_PID}-second")
