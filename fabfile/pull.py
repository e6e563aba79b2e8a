"""`inv backup.pull`: a backup as ordinary files on this machine."""

from __future__ import annotations

from pathlib import Path

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb


@verb(
    help={
        "number": "the backup's number, or latest (see inv backup.list)",
        "env": ENV,
        "sql": "the database as plain SQL for psql, not as a dump for pg_restore",
        "to": "the folder in which the new one is made; default: here",
        "json": JSON,
    }
)
def pull(
    reporter: Reporter,
    number: str,
    env: str | None = None,
    sql: bool = False,
    to: str = ".",
    json: bool = False,
) -> None:
    """Write a backup as a tar.gz and a dump (or SQL), with a README that says how to restore them by hand."""
    from fabfile.recovery.pulled import pull as write
    from fabfile.session import opened

    with opened(env, reporter) as session:
        point = session.recovery.catalogue.find(number)
        folder = write(session.recovery, point, Path(to).expanduser().absolute(), sql)
        names = sorted(path.name for path in folder.iterdir())
        reporter.answer(f"{folder}: {', '.join(names)}", {"folder": str(folder), "files": names})
