"""One seed for everything that is random in a test run, so that any run can be had again with --seed=N."""

from __future__ import annotations

import random
from typing import Any

import pytest

SEED = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="seed of this run's randomness (default: a new one)")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("seed", config.getoption("--seed"))
    config.stash[SEED] = random.SystemRandom().randrange(1_000_000_000) if given is None else given
    # Hypothesis reads this option, and would otherwise choose a seed of its own.
    if config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = str(config.stash[SEED])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to a worker process of pytest-xdist, which would otherwise choose one of its own."""
    node.workerinput["seed"] = node.config.stash[SEED]


def pytest_runtest_setup(item: pytest.Item) -> None:
    random.seed(item.config.stash[SEED])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.TESTS_FAILED:
        terminalreporter.write_line(f"the same again: --seed={terminalreporter.config.stash[SEED]}")


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """This run's seed, for a generator of the test's own: `random.Random(seed)`."""
    return request.config.stash[SEED]
