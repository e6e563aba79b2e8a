"""A datacentre that burns down: what is left are the bucket, the checkout, and machines that have nothing yet."""

from __future__ import annotations

from tests.e2e.project import Project
from tests.e2e.stored import note, sql


def lose(project: Project, database: bool = True) -> None:
    """Every host is bare, and with `database` the database is gone as well."""
    project.wipe()
    if database:
        for name in databases(project):
            sql(project, f'drop database "{name}" with (force)', "postgres")


def databases(project: Project) -> list[str]:
    """The application's database and what restores keep of it, by name."""
    return sql(
        project, "select datname from pg_database where datname = 'app' or datname like 'app_%' order by 1", "postgres"
    ).split()


def put_back(project: Project) -> None:
    """The database as the lab has it: there, whatever is in it."""
    if "app" not in databases(project):
        sql(project, "create database app owner app", "postgres")


def rows(project: Project) -> list[str]:
    return sql(project, "select * from journey order by 1").split()


def notes(project: Project) -> dict[str, str]:
    """What users' note says on each host."""
    return {host: note(project, host) for host in project.lab.hosts}


def releases(project: Project) -> dict[str, str | None]:
    """What each host serves; None for a bare one."""
    document = project.inv("status", "--json").document
    return {name: seen["live"] and seen["slots"][seen["live"]]["release"] for name, seen in document.items()}
