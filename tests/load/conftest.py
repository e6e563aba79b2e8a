"""Fixtures for load: three hosts, and a user's project on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.lab.lab import Lab
from tests.e2e.project import Project, on_bare_hosts
from tests.lab_fixture import session_lab


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rounds",
        type=int,
        default=20,
        help="how many deploys and rollbacks under load, and half as many canaries again",
    )


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Three web hosts; a session that runs other suites too has a lab of its own for those."""
    with session_lab(request.config, hosts=3, suffix="-load") as lab:
        yield lab


@pytest.fixture
def project(lab: Lab, tmp_path: Path) -> Iterator[Project]:
    """A project whose hosts are bare at the beginning and at the end of each test."""
    with on_bare_hosts(tmp_path, lab) as found:
        yield found
