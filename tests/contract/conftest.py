"""The lab's PostgreSQL with one new database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabfile.lab.lab import Lab
from tests.contract.database_server import Server, fresh


@pytest.fixture
def server(lab: Lab) -> Iterator[Server]:
    with fresh(lab) as found:
        yield found
