"""What a recovery refuses, and that nothing has changed then."""

from __future__ import annotations

import re

import pytest

from tests.e2e.loss import databases, lose, rows
from tests.e2e.project import Project
from tests.e2e.stored import sql, untouched

pytestmark = pytest.mark.lab


def test_machines_and_databases_in_use_are_never_touched(project: Project, first: str, losable: int) -> None:
    with untouched(project):
        live = project.inv("recover", f"--backup={losable}", "--yes", expect=5)
    assert f"h1: serves {first}" in live.err
    assert "inv rollback --backup=N" in live.err
    lose(project, database=False)
    filled = project.inv("recover", f"--backup={losable}", "--yes", expect=5)
    assert re.search(r"database app holds \d+ rows in \d+ tables and is never overwritten", filled.err)
    assert rows(project) == ["3"]
    for host in project.lab.hosts:
        assert project.lab.execute(host, "ls", "-A", "/var/app").strip() == ""


def test_the_plan_is_shown_and_without_a_word_of_consent_nothing_is_done(
    project: Project, first: str, losable: int
) -> None:
    lose(project)
    asked = project.inv("recover", f"--backup={losable}", expect=3)
    assert f"backup {losable} (full, by hand): never verified" in asked.err
    assert "lost: everything written since 20" in asked.err
    assert "database app is made: owner app, UTF8" in asked.err
    for step in ("create-db", "load-db", "load-files", "swap-db", "start", "unfreeze"):
        assert f"  {step.ljust(12)} " in asked.err
    assert "--yes" in asked.err
    assert databases(project) == []
    for host in project.lab.hosts:
        assert project.lab.execute(host, "ls", "-A", "/var/app").strip() == ""


def test_a_role_that_the_server_lacks_is_asked_for_with_its_sql(project: Project, first: str, losable: int) -> None:
    sql(project, "create role clerk; grant select on journey to clerk")
    number = project.inv("backup", "--json").document["number"]
    lose(project)
    sql(project, "drop role clerk", "postgres")
    refused = project.inv("recover", f"--backup={number}", "--yes", expect=5)
    assert 'role clerk is missing: CREATE ROLE "clerk"' in refused.err
    assert databases(project) == []
    sql(project, 'CREATE ROLE "clerk"', "postgres")
    project.inv("recover", f"--backup={number}", "--yes")
    assert sql(project, "select has_table_privilege('clerk', 'journey', 'select')") == "t"
    sql(project, "drop owned by clerk; drop role clerk")


def test_what_an_application_cannot_be_rebuilt_from_is_refused(project: Project, first: str, losable: int) -> None:
    alone = project.inv("backup.create-db", "--json").document["number"]
    refused = project.inv("recover", f"--backup={alone}", "--yes", expect=3)
    assert f"backup {alone} is of kind database: no shared files and no release in it" in refused.err
    assert f"complete are: {losable}" in refused.err
    assert "there is no backup 999" in project.inv("recover", "--backup=999", "--yes", expect=3).err


def test_new_addresses_belong_into_the_file_and_the_lines_are_named(project: Project, first: str, losable: int) -> None:
    refused = project.inv("recover", "--hosts=h1=192.0.2.7,h2", "--yes", expect=3)
    lines = (project.folder / "hosts" / "test.yml").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if text.strip().startswith("h1:"))
    assert f"hosts/test.yml:{line}: hosts.h1.address: 192.0.2.7 (now h1)" in refused.err
    assert "inv hosts.trust --env=test" in refused.err
    hosts = {"h1": {"address": "nowhere.invalid"}, "h2": {}, "db": {"roles": ["db"]}}
    project.configure(hosts=hosts)
    try:
        gone = project.inv("recover", "--hosts=nowhere.invalid,h2", f"--backup={losable}", "--yes", expect=1)
    finally:
        project.configure()
    assert "says where h1 is" in gone.err
