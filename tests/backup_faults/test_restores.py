"""Whoever dies at whatever moment of a restore or its undo: resumed or aborted, all is new or all is old."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import Literal, TypeAlias

import pytest

from tests.e2e.project import Project
from tests.e2e.stored import everywhere, note, sql, upload
from tests.faults.fault import Fault
from tests.faults.stage import Stage
from tests.faults.test_transaction import QUICK, end
from tests.sampling import COUNTED
from tests.seed_option import SEED

pytestmark = [pytest.mark.lab, pytest.mark.timeout(400)]

LOADED = ("begin", "load-db", "load-files", "unpack", "place", "backup", "freeze", "quiesce", "swap-db", "swap-files")
WHOLE = (*LOADED, "start", "prove", "switch", "confirm", "seal", "unfreeze", "record", "tidy")
HALF = ("begin", "load-db", "freeze", "quiesce", "swap-db", "start", "seal", "unfreeze", "record")
UNDO = ("begin", "freeze", "quiesce", "swap-db", "swap-files", "start", "switch", "seal", "unfreeze", "record")


Seen: TypeAlias = tuple[list[str], set[str], set[str]]
"""Rows, what the files say, and the releases that answer."""


@dataclass(frozen=True)
class Restoring:
    """Whether the whole backup, its database alone, or the undo of a restore is interrupted, and how."""

    what: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.what}-{self.fault}"


def all_restores(seed: int) -> list[Restoring]:
    """The operator's machine dies before and after each step; the run is resumed and aborted in turn."""
    events: tuple[Literal["step-started", "step-done"], ...] = ("step-started", "step-done")
    steps = [
        (what, step) for what, all_of_it in (("whole", WHOLE), ("half", HALF), ("undo", UNDO)) for step in all_of_it
    ]
    found = [
        Restoring(what, Fault("operator", "rollback", step, event, ending="resume" if number % 2 else "abort"))
        for number, ((what, step), event) in enumerate(itertools.product(steps, events), seed % 2)
    ]
    random.Random(seed).shuffle(found)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "restoring" in metafunc.fixturenames:
        found = all_restores(metafunc.config.stash[SEED])
        metafunc.parametrize("restoring", found, ids=str)


@pytest.fixture(scope="session")
def stage(project: Project) -> Stage:
    project.configure(**{**QUICK, "release": {**QUICK["release"], "shared": ["uploads"]}})
    return Stage(project, (project.build("1.0.0"), project.build("2.0.0")))


@pytest.fixture(scope="session")
def saved(stage: Stage) -> int:
    """A backup's number: release 1.0.0, rows 1 and 2, files that say `old`."""
    project = stage.project
    project.inv("deploy", f"--release={stage.releases[0]}")
    sql(project, "drop table if exists journey; create table journey (id int primary key)")
    sql(project, "insert into journey values (1), (2)")
    upload(project, "old")
    return int(project.inv("backup", "--json").document["number"])


def moved_on(stage: Stage) -> None:
    """Release 2.0.0, row 3 and files that say `new`, and nothing kept of earlier restores."""
    project = stage.project
    project.inv("deploy", f"--release={stage.releases[1]}")
    project.inv("backup.drop-old", "--yes")
    sql(project, "delete from journey; insert into journey values (3)")
    upload(project, "new")


def seen(stage: Stage) -> Seen:
    project = stage.project
    notes = {note(project, host).removesuffix(f"-{host}") for host in project.lab.hosts}
    answers = {stage.answer(host) for host in project.lab.hosts}
    return sql(project, "select * from journey order by 1").split(), notes, answers


def beside(project: Project) -> list[str]:
    """The databases beside the live one, and whether they let anybody in."""
    return sql(project, "select datname, datallowconn from pg_database where datname like 'app_%' order by 1").split()


def test_a_restore_that_is_interrupted_is_whole_or_nothing(
    stage: Stage, saved: int, restoring: Restoring, request: pytest.FixtureRequest
) -> None:
    project, fault = stage.project, restoring.fault
    moved_on(stage)
    words = ["rollback", f"--backup={saved}", "--yes"]
    wanted: Seen = (["1", "2"], {"old"}, {stage.releases[0]})
    if restoring.what == "half":
        words.append("--db-only")
        wanted = (["1", "2"], {"new"}, {stage.releases[1]})
    if restoring.what == "undo":
        project.inv(*words)
        words, wanted = ["rollback", "--undo", "--yes"], (["3"], {"new"}, {stage.releases[1]})
    before, databases, picture = seen(stage), beside(project), stage.look().picture
    stage.run(tuple(words), fault)
    found = stage.look()
    undone = end(stage, fault, found, "") if found.unfinished else seen(stage)[0] != wanted[0]
    after = stage.look()
    assert not after.unfinished
    stage.no_step_had_an_old_token()
    lost = {*before[0], *([] if undone else wanted[0])} - everywhere(project, "select * from journey")
    request.node.user_properties += [(COUNTED[1], len(lost))]
    assert lost == set()
    if undone:
        assert (seen(stage), beside(project), after.picture) == (before, databases, picture)
        return
    assert seen(stage) == wanted
    (former,) = beside(project)
    assert former.startswith("app_before_")
    assert former.endswith("|f")
    for host in project.lab.hosts:
        kept = project.lab.execute(host, "bash", "-c", "cd /var/app/small && ls -d .shared* || true").split()
        assert all(name.startswith(".shared.before-") for name in kept)
        assert len(kept) == (0 if restoring.what == "half" else 1)
