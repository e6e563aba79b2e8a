"""How many faults are injected, and what is said of them at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabfile.lab.lab import Lab
from tests.e2e.project import Project

SUITES = ("tests/faults/test_transaction.py", "tests/faults/test_restores.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--faults", type=int, default=0, help="inject only so many of each file's faults (0: all)")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    ended = {outcome: terminalreporter.stats.get(outcome, []) for outcome in ("passed", "failed", "error")}
    injected = {report.nodeid for reports in ended.values() for report in reports if report.nodeid.startswith(SUITES)}
    violated = {
        report.nodeid for name in ("failed", "error") for report in ended[name] if report.nodeid.startswith(SUITES)
    }
    if injected:
        terminalreporter.write_line(f"{len(injected)} faults, {len(violated)} violations")


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project on two hosts that all faults share, one after the other."""
    found = Project(tmp_path_factory.mktemp("project"), lab)
    found.wipe()
    yield found
    found.wipe()
