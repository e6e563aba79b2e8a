"""A project whose releases bring SQL files along: how tests add some, and what came of them in the database."""

from __future__ import annotations

import json
import os
import signal
import time

from tests.e2e.project import Project
from tests.e2e.stored import sql

BASE = "-- expand\nCREATE TABLE shelf (id bigint PRIMARY KEY, name text);\nCREATE TABLE trace (what text);\n"
COLUMN = "-- expand\nALTER TABLE shelf ADD COLUMN colour text;\nINSERT INTO trace VALUES ('column');\n"
SLOW = "-- expand\nSELECT pg_sleep(4);\nINSERT INTO trace VALUES ('slow');\n"


def clear(project: Project) -> None:
    """Leave nothing of ours in the database."""
    sql(project, "drop table if exists turnout_migrations, shelf, trace")


def add(project: Project, **texts: str) -> None:
    """Files of the next release, such as n002_colour."""
    project.files |= {f"migrations/{name[1:]}.sql": text for name, text in texts.items()}


def applied(project: Project) -> list[str]:
    if sql(project, "select to_regclass('turnout_migrations') is null") == "t":
        return []
    return sql(project, "select description from turnout_migrations order by version").split()


def traces(project: Project) -> list[str]:
    return sql(project, "select what from trace").split()


def killed_at(project: Project, step: str, *words: str) -> None:
    """Run a command and end it by SIGKILL a moment after this step has begun."""
    process = project.start(*words, "--json")
    assert process.stdout
    for line in process.stdout:
        seen = json.loads(line)
        if (seen.get("event"), seen.get("step")) == ("step-started", step):
            time.sleep(2)
            os.kill(process.pid, signal.SIGKILL)
            break
    else:
        raise AssertionError(f"{step} was never begun: {process.communicate()}")
    process.communicate()
