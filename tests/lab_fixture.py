"""One lab for a whole test session, and none after it, however the session ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from fabfile.lab.lab import Lab


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Two web hosts, db and s3; tests leave every node up, connected and at full speed.

    A session that was killed leaves its lab; the next `up` finds that the process in its name is gone and removes it.
    """
    name = f"test-{os.getpid()}"
    try:
        yield Lab.up(name, hosts=2, s3="moto", say=_say)
    finally:
        Lab.remove(name)
