"""How many faults are injected, and what a suite of faults says of them at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")
COUNTED = ("bad backups listed", "rows lost")
"""What the faults of `tests/backup_faults` count, each in a property of its test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, default=0, help="inject only so many of each list of faults (0: all)")


def chosen(config: pytest.Config, faults: Sequence[T]) -> Sequence[T]:
    """As many of these faults, which are in a random order, as this run is to inject."""
    return faults[: config.getoption("--faults") or None]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = {outcome: terminalreporter.stats.get(outcome, []) for outcome in ("passed", "failed", "error")}
    reports = [report for found in ended.values() for report in found]
    if injected := _tests(reports, "tests/faults/"):
        violated = _tests([*ended["failed"], *ended["error"]], "tests/faults/")
        terminalreporter.write_line(f"{len(injected)} faults, {len(violated)} violations")
    if injected := _tests(reports, "tests/backup_faults/"):
        properties = [found for report in reports for found in report.user_properties]
        sums = [f"{sum(value for key, value in properties if key == name)} {name}" for name in COUNTED]
        terminalreporter.write_line(f"{len(injected)} faults, {', '.join(sums)}")


def _tests(reports: Iterable[pytest.TestReport], suite: str) -> set[str]:
    return {report.nodeid for report in reports if report.nodeid.startswith(suite)}
