"""A project whose way to the S3 store leads through a proxy that breaks, and what is counted after each fault."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from fabfile.lab.lab import Lab
from tests.backup_faults.faulty_proxy import Faults, Proxy
from tests.e2e.project import LIMIT, Project, on_bare_hosts
from tests.sampling import COUNTED

BACKUP = {"bucket": "backups", "prefix": "faults", "endpoint": "env:S3_ENDPOINT", "max_size": "50000MiB"}


@dataclass
class Bench:
    """A project, its way to the store, and what one test counts."""

    project: Project
    faults: Faults
    request: pytest.FixtureRequest

    def listed(self) -> dict[int, Any]:
        """What `inv backup.list` shows, by number."""
        return {point["number"]: point for point in self.project.inv("backup.list", "--json").document}

    def restores(self, number: int) -> bool:
        """Whether a backup passes `inv backup.verify`."""
        process = self.project.start("backup.verify", f"--backup={number}")
        process.communicate(timeout=LIMIT)
        return process.returncode == 0

    def count(self, bad: int = 0, lost: int = 0) -> None:
        """Bad backups that are listed as good, and rows that are nowhere any more: none, and the suite sums them up."""
        self.request.node.user_properties += list(zip(COUNTED, (bad, lost), strict=True))
        assert (bad, lost) == (0, 0)


@pytest.fixture(scope="session")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project on two hosts that all faults share, one after the other."""
    with on_bare_hosts(tmp_path_factory.mktemp("project"), lab) as found:
        yield found


@pytest.fixture(scope="session")
def way(project: Project) -> Iterator[Faults]:
    """The proxy between the project and the store."""
    endpoint = urlsplit(project.lab.environment["S3_ENDPOINT"])
    assert endpoint.hostname and endpoint.port
    proxy = Proxy(Faults((endpoint.hostname, endpoint.port)))
    thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
    thread.start()
    project.environment["S3_ENDPOINT"] = f"http://127.0.0.1:{proxy.server_port}"
    yield proxy.faults
    proxy.shutdown()
    proxy.server_close()
    thread.join()


@pytest.fixture(scope="module")
def served(project: Project, way: Faults) -> Project:
    """The project with a release on both hosts; its backups go through the proxy, in parts of about 5 MiB."""
    project.configure(backup=BACKUP)
    project.inv("deploy", f"--release={project.sound() or project.build('1.0.0')}")
    return project


@pytest.fixture
def bench(served: Project, way: Faults, request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield Bench(served, way, request)
    way.clear()
