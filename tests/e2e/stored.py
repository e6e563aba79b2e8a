"""All that a restore may change: rows, files, live releases, databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.project import Project


def sql(project: Project, statement: str, database: str = "app") -> str:
    """What PostgreSQL answers."""
    words = ("psql", "-v", "ON_ERROR_STOP=1", "-qAt", "-d", database, "-c", statement)
    return project.lab.execute("db", *words, user="postgres").strip()


def everywhere(project: Project, query: str) -> set[str]:
    """The lines that the live database answers and those that were live before, which let nobody in but for this."""
    lines = set(sql(project, query).split())
    for name in sql(project, "select datname from pg_database where datname like 'app_before_%'").split():
        sql(project, f'alter database "{name}" allow_connections true', "postgres")
        lines |= set(sql(project, query, name).split())
        sql(project, f'alter database "{name}" allow_connections false', "postgres")
    return lines


def upload(project: Project, text: str) -> None:
    """What users left on each host."""
    for host in project.lab.hosts:
        file = "/var/app/small/shared/uploads/note.txt"
        project.lab.execute(host, "bash", "-c", f"echo {text}-{host} > {file}", user="deploy")


def note(project: Project, host: str) -> str:
    """What lies in that file on a host."""
    return project.lab.execute(host, "cat", "/var/app/small/shared/uploads/note.txt").strip()


def state(project: Project) -> object:
    """All that a restore may change, by looking: rows, files, live releases, databases."""
    notes = [
        project.lab.execute(host, "bash", "-c", "cat /var/app/small/shared/uploads/note.txt; ls -A /var/app/small")
        for host in project.lab.hosts
    ]
    databases = sql(project, "select datname, datallowconn from pg_database order by 1")
    return sql(project, "select * from journey order by 1"), notes, databases, project.live()


@contextmanager
def untouched(project: Project) -> Iterator[None]:
    before = state(project)
    yield
    assert state(project) == before
