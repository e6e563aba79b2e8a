"""One lab for a whole test session, and none after it, however the session ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fabfile.lab.lab import Lab


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--s3", default="moto", help="the lab's S3 server: moto (quick) or ceph (strict)")


@contextmanager
def session_lab(config: pytest.Config, hosts: int, suffix: str = "") -> Iterator[Lab]:
    """A lab for as long as the block lasts; `suffix` tells a session's second lab from its first.

    A session that was killed leaves its lab; the next `up` finds that the process in its name is gone and removes it.
    """
    name = f"test-{os.getpid()}{suffix}"
    try:
        yield Lab.up(name, hosts=hosts, s3=config.getoption("--s3"), say=_say)
    finally:
        Lab.remove(name)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Two web hosts, db and s3; tests leave every node up, connected and at full speed."""
    with session_lab(request.config, hosts=2) as lab:
        yield lab
