"""What the machine lacks is named, all of it at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from fabfile.lab import prerequisites
from fabfile.lab.prerequisites import Tool, missing


def test_missing_programs_are_all_named_and_present_ones_are_not(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.touch()
    tools = (
        Tool("sh", "dash"),
        Tool("no-such-program", "one"),
        Tool(str(there), "two"),
        Tool("/no/such/path", "three"),
    )
    assert [tool.package for tool in missing(tools)] == ["one", "three"]


def test_a_shell_can_ask_before_there_is_a_virtual_environment() -> None:
    """Isolated mode has neither this project nor its dependencies on the path."""
    asked = subprocess.run(
        [sys.executable, "-I", "-S", prerequisites.__file__], capture_output=True, text=True, check=True
    )
    assert set(asked.stdout.split()) <= set(prerequisites.APT)
    assert asked.stdout.count("\n") == 1
