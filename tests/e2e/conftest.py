"""Fixtures for journeys: a user's project on hosts that nobody deployed to yet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fabfile.lab.lab import Lab
from tests.e2e.project import Project
from tests.e2e.visitor import Visitor


@pytest.fixture(scope="module")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose hosts are bare at the beginning and at the end of each test module."""
    found = Project(tmp_path_factory.mktemp("project"), lab)
    found.wipe()
    yield found
    found.wipe()


@pytest.fixture
def first(project: Project) -> str:
    """A release that is live on every host when the test begins; its id."""
    release = project.build("1.0.0")
    project.inv("deploy", f"--release={release}")
    return release


@pytest.fixture
def visitor(project: Project) -> Visitor:
    """Somebody who uses every host, once entered."""
    return Visitor([project.lab.address(host) for host in project.lab.hosts])


@pytest.fixture
def dist(project: Project) -> Path:
    """Where releases are built to."""
    return project.folder / "dist"
