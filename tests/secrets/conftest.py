"""A project with a secret in every kind of place, and all that it shows and leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fabfile.lab.lab import Lab
from tests.aws_server import keeping
from tests.e2e.project import Done, Project, on_bare_hosts
from tests.secrets import search
from tests.secrets.planted import Planted, plant
from tests.secrets.watch import watching


@dataclass
class Stage:
    """A project, its secrets, and everything that its commands have printed so far."""

    project: Project
    planted: Planted
    began: float
    temporary: Path
    printed: list[str]

    def inv(self, *words: str, expect: int = 0, given: str | None = None) -> Done:
        """One command; with `given` on its standard input."""
        return self.project.inv(*words, expect=expect, given=given)

    @contextmanager
    def searched(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Watch all processes while the block runs, then search everything; what was found is counted, and is none."""
        with watching(self.temporary) as watch:
            yield
        assert watch.looks > 20, "too few looks to have seen anything"
        found = [*self.found(), *self.shown(watch.seen)]
        request.node.user_properties += [("secrets planted", len(self.planted.values)), ("secrets found", len(found))]
        assert found == []

    def shown(self, seen: dict[bytes, str]) -> list[str]:
        """What processes showed."""
        forms = self.planted.forms()
        return [f"{name} in {where}" for data, where in seen.items() for name in search.in_bytes(data, forms)]

    def found(self) -> list[str]:
        """Where secrets are that should not be."""
        forms, project = self.planted.forms(), self.project
        sources = [project.folder / "keys" / "file_key", project.folder / "keys" / "dotenv"]
        found = [f"{name} in output" for text in self.printed for name in search.in_bytes(text.encode(), forms)]
        found += search.in_folder(project.folder.parent, forms, sources)
        found += search.in_bucket(project.environment, "backups", forms)
        for node in (*project.lab.hosts, "db"):
            places = search.on_host(project.lab, node, self.began, forms)
            found += [f"{node}: {place}" for place in places if not search.private(place)]
        return found + search.in_memory()

    def delivered(self, host: str) -> dict[str, str]:
        """What the live process of a host was given to read."""
        slot = self.project.live()[host][0]
        text = self.project.lab.execute(host, "cat", f"/var/app/small/slots/{slot}/.turnout/env")
        return dict(line.split("=", 1) for line in text.splitlines())


@pytest.fixture(scope="session")
def stage(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Two bare hosts, and a project that nothing was deployed from yet."""
    began, folder = time.time(), tmp_path_factory.mktemp("operator")
    temporary = folder / "tmp"
    temporary.mkdir()
    (folder / "project").mkdir()
    with keeping() as kept, on_bare_hosts(folder / "project", lab) as project:
        project.environment |= {"TMPDIR": str(temporary), "HOME": str(folder / "home")}
        yield Stage(project, plant(project, kept), began, temporary, project.printed)
