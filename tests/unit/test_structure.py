"""The shape of the project itself: names that would shadow others, drawers for anything, what the locks may say."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from fabfile.namespace import namespace

ROOT = Path(__file__).parents[2]


def test_no_child_of_fabfile_shadows_a_module() -> None:
    """`fab` puts that folder first on the path."""
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    children = {path.stem for path in (ROOT / "fabfile").iterdir() if not path.name.startswith("_")}
    assert children & taken == set()


def test_nothing_is_called_after_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager"}
    assert [path for path in (ROOT / "fabfile").rglob("*.py") if path.stem in drawers] == []


def test_every_task_says_what_it_does_and_explains_every_flag() -> None:
    tasks = namespace()
    for name in tasks.task_names:
        task = tasks[name]
        assert (task.__doc__ or "").strip().endswith("."), name
        arguments = task.get_arguments()
        assert [argument.name for argument in arguments if not argument.help] == [], name
        assert [flag for argument in arguments for flag in argument.names if len(flag) == 1] == [], name


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_python_is_locked_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    packages = re.findall(r"^[a-z0-9][\w.-]*(?:\[[\w,-]+\])?==", text, re.M)
    assert len(packages) > 10
    assert text.count("--hash=sha256:") >= len(packages)
    assert "://" not in text
    assert "--index" not in text


def test_npm_locks_name_no_registry() -> None:
    locks = [
        path
        for path in ROOT.rglob("package-lock.json")
        if "node_modules" not in path.parts and ".venv" not in path.parts
    ]
    assert len(locks) >= 2
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert all("resolved" not in package for package in packages.values()), lock
        assert all("integrity" in package for name, package in packages.items() if name), lock
