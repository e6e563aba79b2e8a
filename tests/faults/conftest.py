"""Two hosts and a project that all faults share, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fabfile.lab.lab import Lab
from tests.e2e.project import Project, on_bare_hosts


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project on two hosts."""
    with on_bare_hosts(tmp_path_factory.mktemp("project"), lab) as found:
        yield found
