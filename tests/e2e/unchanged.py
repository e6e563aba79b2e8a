"""Hosts that are as they were, by looking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.project import Project


def look(project: Project) -> object:
    """Traffic, processes, files and nginx of every host."""
    document = project.inv("status", "--json").document
    kept = ("live", "slots", "site", "generation", "maintenance", "releases", "lease")
    for seen in document.values():
        for process in filter(None, (slot["process"] for slot in seen["slots"].values())):
            del process["pid"]  # a slot that was stopped and brought back has another
    return {name: {key: seen[key] for key in kept} for name, seen in document.items()}


@contextmanager
def unchanged(project: Project) -> Iterator[None]:
    """All that `look` shows is the same afterwards."""
    before = look(project)
    yield
    after = look(project)
    assert after == before, f"{before}\nbecame\n{after}"
