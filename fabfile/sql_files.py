"""`inv migrate.new` and `inv migrate.lint`: the SQL files of the working copy, which the next release is built from."""

from __future__ import annotations

from pathlib import Path

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, one_line, verb


@verb(
    help={
        "name": "what it does, in a few words, such as add_colour",
        "contract": "it takes away what the release that runs now may still need",
        "env": ENV,
        "json": JSON,
    }
)
def new(reporter: Reporter, name: str, contract: bool = False, env: str | None = None, json: bool = False) -> None:
    """Make the next pair of migration files in the working copy, up and down."""
    from datetime import UTC, datetime

    from fabfile.artifact.migrations import read_folder
    from fabfile.planning.migration_files import next_names

    folder = _working_copy(env)
    up, back = next_names(read_folder(folder), one_line(name, "NAME"), datetime.now(UTC))
    phase = "contract" if contract else "expand"
    texts = {
        up: f"-- {phase}\n-- What it does: {name.strip()}\n\n",
        back: f"-- Takes {up} back, when inv migrate.down is asked to; without a statement nothing does.\n\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in texts.items():
        with (folder / file).open("x", encoding="utf-8") as opened_file:
            opened_file.write(text)
    reporter.answer("\n".join(str(folder / file) for file in texts), {"files": [str(folder / file) for file in texts]})


@verb(help={"env": ENV, "json": JSON})
def lint(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Judge every migration of the working copy, as a deploy would judge it before it starts."""
    from fabfile.artifact.migrations import read_folder
    from fabfile.artifact.squawk import lint as judge
    from fabfile.planning.migration_files import read
    from fabfile.planning.migration_lint import refuse

    folder = _working_copy(env)
    migrations = read(read_folder(folder), str(folder))
    refuse(judge(migrations))
    reporter.answer(f"{len(migrations)} migrations in {folder} are safe", {"migrations": [m.name for m in migrations]})


def _working_copy(env: str | None) -> Path:
    import os

    from fabfile.backends import PROJECT
    from fabfile.config.load import choose, load
    from fabfile.migrations import migration_settings

    name = choose(env, PROJECT, os.environ)
    environment = load(name, PROJECT)
    return PROJECT / environment.build.source / migration_settings(environment, name).folder
