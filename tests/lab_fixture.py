"""One lab for a whole test session, and none after it, however the session ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from fabfile.lab.lab import Lab


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--s3", default="moto", help="the lab's S3 server: moto (quick) or ceph (strict)")


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Two web hosts, db and s3; tests leave every node up, connected and at full speed.

    A session that was killed leaves its lab; the next `up` finds that the process in its name is gone and removes it.
    """
    name = f"test-{os.getpid()}"
    try:
        yield Lab.up(name, hosts=2, s3=request.config.getoption("--s3"), say=_say)
    finally:
        Lab.remove(name)
