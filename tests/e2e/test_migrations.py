"""Release and schema go together: applied before the start, safe for what runs, and gone back over only where it is."""

from __future__ import annotations

import pytest

from tests.e2e.project import Project
from tests.e2e.shelf import COLUMN, add, applied, traces
from tests.e2e.stored import sql
from tests.e2e.visitor import Visitor

pytestmark = pytest.mark.lab


def test_a_deploy_applies_what_a_plan_showed_and_no_request_fails(
    project: Project, shelf: str, visitor: Visitor
) -> None:
    add(project, n002_colour=COLUMN)
    second = project.build("2.0.0")
    shown = project.inv("plan", f"--release={second}", expect=2).out
    assert "ALTER TABLE shelf ADD COLUMN colour text;" in shown
    assert "002_colour" not in applied(project)
    with visitor:
        done = project.inv("deploy", f"--release={second}")
    assert visitor.failures == []
    assert "002_colour (expand) applied in" in done.err
    assert applied(project) == ["001_base", "002_colour"]
    states = {line["name"]: line["state"] for line in project.inv("migrate.status", "--json").document}
    assert states == {"001_base": "applied", "002_colour": "applied"}
    assert "nothing to apply" in project.inv("migrate").out
    assert "nothing to do" in project.inv("plan", f"--release={second}").out


def test_the_third_of_five_that_fails_leaves_two_and_the_old_release_serving(
    project: Project, shelf: str, visitor: Visitor
) -> None:
    add(
        project,
        n002_colour=COLUMN,
        n003_wrong="-- expand\nINSERT INTO trace VALUES ('wrong');\nSELECT nothing FROM shelf;\n",
    )
    add(project, n004_late="-- expand\nINSERT INTO trace VALUES ('late');\n", n005_last="-- expand\nSELECT 1;\n")
    second, before = project.build("2.1.0"), project.live()
    with visitor:
        failed = project.inv("deploy", f"--release={second}", expect=6)
    assert visitor.failures == []
    assert '003_wrong.sql:3: column "nothing" does not exist' in failed.err
    assert "the database is at 002_colour; nothing of 003_wrong is kept" in failed.err
    assert "stays in the database: 002_colour; " in failed.err
    assert applied(project) == ["001_base", "002_colour"]
    assert traces(project) == ["column"]
    assert project.live() == before
    add(project, n003_wrong="-- expand\nINSERT INTO trace VALUES ('right');\n")
    project.inv("deploy", f"--release={project.build('2.1.1')}")
    assert sorted(traces(project)) == ["column", "late", "right"]


def test_an_unsafe_migration_stops_before_anything_starts_with_the_recipe(project: Project, shelf: str) -> None:
    add(
        project,
        n002_index="-- expand\nCREATE INDEX shelf_name ON shelf (name);\n"
        "ALTER TABLE shelf ALTER COLUMN name SET NOT NULL;\n",
    )
    before, rows = project.live(), applied(project)
    second = project.build("2.2.0")
    for words in (("plan",), ("deploy",)):
        refused = project.inv(*words, f"--release={second}", expect=5).err
        assert "002_index.sql:2:" in refused
        assert "CREATE INDEX CONCURRENTLY IF NOT EXISTS" in refused
        assert "002_index.sql:3:" in refused
        assert "CHECK (col IS NOT NULL) NOT VALID" in refused
    assert (project.live(), applied(project)) == (before, rows)
    add(
        project,
        n002_index="-- expand\n-- no-transaction\n"
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS shelf_name ON shelf (name);\n",
    )
    project.inv("deploy", f"--release={project.build('2.2.1')}")
    assert sql(project, "select indisvalid from pg_index where indexrelid = 'shelf_name'::regclass") == "t"


def test_code_goes_back_over_an_expand_migration_and_not_over_a_contract(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN)
    second = project.build("2.3.0")
    project.inv("deploy", f"--release={second}")
    project.inv("rollback")
    assert {release for _, release in project.live().values()} == {shelf}
    project.inv("deploy", f"--release={second}")
    add(project, n003_drop="-- contract\nALTER TABLE shelf DROP COLUMN name;\n")
    third = project.build("2.3.1")
    done = project.inv("deploy", f"--release={third}")
    assert done.err.index("settle    done") < done.err.index("003_drop (contract) applied")
    assert applied(project)[-1] == "003_drop"
    refused = project.inv("rollback", expect=5).err
    assert f"003_drop (contract) has been applied, and {second} was built before" in refused
    assert "inv rollback --over-contract" in refused
    assert {release for _, release in project.live().values()} == {third}
    assert "003_drop" in project.inv("deploy", f"--release={second}", expect=5).err
    project.inv("rollback", "--over-contract")
    assert {release for _, release in project.live().values()} == {second}


def test_an_applied_file_that_changed_is_refused_and_named(project: Project, shelf: str) -> None:
    add(project, n002_colour=COLUMN)
    project.inv("deploy", f"--release={project.build('2.7.0')}")
    add(project, n002_colour=COLUMN + "-- a word more\n", n003_new="-- expand\nSELECT 1;\n")
    third, before = project.build("2.7.1"), project.live()
    assert "002_colour.sql is not what was applied from" in project.inv("deploy", f"--release={third}", expect=5).err
    states = project.inv("migrate.status", f"--release={third}", expect=5).text
    assert "changed" in states
    assert "pending" in states
    assert project.live() == before
