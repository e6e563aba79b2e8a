"""squawk, a program beside Python that reads migrations as PostgreSQL would and knows what locks they take."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from fabfile.errors import BadInput, TurnoutError
from fabfile.model.migration import Migration
from fabfile.planning.migration_lint import Finding, parse

LIMIT = 60.0
"""Seconds that one file may take."""
OLDEST = "13.0"
"""The oldest PostgreSQL that a statement must be safe on."""


def lint(migrations: Iterable[Migration], program: str | None = None) -> list[Finding]:
    """What is not safe in these migrations; `program` is squawk's path.

    Raises BadInput where it is not installed, TurnoutError where it does not answer.
    """
    wanted = list(migrations)
    if not wanted:
        return []
    squawk = program or _program()
    return [finding for migration in wanted for finding in _lint(squawk, migration)]


def _lint(squawk: str, migration: Migration) -> list[Finding]:
    assumed = ["--assume-in-transaction"] if migration.transactional else []
    name = f"{migration.name}.sql"
    words = [squawk, "--reporter=json", f"--pg-version={OLDEST}", f"--stdin-filepath={name}", *assumed]
    try:
        # From / it finds no settings of its own, so that the same file is judged the same everywhere.
        done = subprocess.run(words, input=migration.sql.encode(), capture_output=True, timeout=LIMIT, cwd="/")
        if done.returncode not in (0, 1):
            raise ValueError(f"it ended with status {done.returncode}")
        return parse(migration, done.stdout.decode())
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise TurnoutError(f"squawk cannot judge {name}: {error}", f"see what it says: {squawk} {name}") from error


def _program() -> str:
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.is_file() else shutil.which("squawk")
    if found is None:
        raise BadInput(
            "squawk, which judges migrations before they run, is not installed",
            "install what requirements.lock lists: .venv/bin/pip install --require-hashes -r requirements.lock",
        )
    return found
