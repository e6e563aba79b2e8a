"""A sample of a long suite, another one with each seed, and what suites say of themselves at the end."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable

import pytest

from tests.seed_option import SEED

COUNTED = ("bad backups listed", "rows lost")
"""What the faults of `tests/backup_faults` count, each in a property of its test."""
DOCTORED = ("planted", "named", "mended", "false")
"""What `tests/doctor` counts likewise."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cases", type=int, default=0, help="at most so many of each test's parameters (0: all)")
    parser.addoption("--one-in", type=int, default=1, help="one test of so many (1: all)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    cases, one_in = config.getoption("--cases"), config.getoption("--one-in")
    tests = defaultdict[str, list[pytest.Item]](list)
    for item in items:
        tests[item.nodeid.partition("[")[0]].append(item)
    kept = set[pytest.Item]()
    for name, found in tests.items():
        chance = random.Random(f"{config.stash[SEED]} {name}")
        if chance.random() < 1 / one_in:
            kept.update(chance.sample(found, min(cases or len(found), len(found))))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = {outcome: terminalreporter.stats.get(outcome, []) for outcome in ("passed", "failed", "error")}
    reports = [report for found in ended.values() for report in found]
    properties = [found for report in reports for found in report.user_properties]
    if injected := _tests(reports, "tests/faults/"):
        violated = _tests([*ended["failed"], *ended["error"]], "tests/faults/")
        terminalreporter.write_line(f"{len(injected)} faults, {len(violated)} violations")
    if injected := _tests(reports, "tests/backup_faults/"):
        terminalreporter.write_line(f"{len(injected)} faults, {_sums(properties, COUNTED)}")
    if _tests(reports, "tests/doctor/"):
        terminalreporter.write_line(_sums(properties, DOCTORED))
    if planted := [count for name, count in properties if name == "secrets planted"]:
        copies = sum(count for name, count in properties if name == "secrets found")
        terminalreporter.write_line(f"{max(planted)} planted, {copies} found")


def _sums(properties: Iterable[tuple[str, object]], names: Iterable[str]) -> str:
    found = list(properties)
    return ", ".join(f"{sum(int(str(value)) for key, value in found if key == name)} {name}" for name in names)


def _tests(reports: Iterable[pytest.TestReport], suite: str) -> set[str]:
    return {report.nodeid for report in reports if report.nodeid.startswith(suite)}
