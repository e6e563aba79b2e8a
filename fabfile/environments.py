"""`inv config` and `inv env.diff`: what is in force in an environment, where that is written, and how two differ."""

from __future__ import annotations

import json as text

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb


@verb(help={"env": ENV, "json": JSON})
def config(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Show every value in force, and the file and line it comes from; secrets only as where they are, never read."""
    import os

    from fabfile.backends import PROJECT
    from fabfile.config.effective import settings
    from fabfile.config.load import choose

    name = choose(env, PROJECT, os.environ)
    found = settings(name, PROJECT)
    rows = [[setting.key, _shown(setting.value), setting.origin] for setting in found]
    document = {"environment": name, "settings": [setting.document() for setting in found]}
    reporter.table(("KEY", "VALUE", "FROM"), rows, document, "nothing")


@verb(help={"first": "an environment", "second": "another one", "json": JSON})
def diff(reporter: Reporter, first: str, second: str, json: bool = False) -> None:
    """Show what differs between two environments, secrets only as where they come from; exit 2 when anything does."""
    from fabfile.backends import PROJECT
    from fabfile.config.effective import differences, settings

    found = differences(settings(first, PROJECT), settings(second, PROJECT))
    rows, documents = [], []
    for each in found:
        sides = (each.first, each.second)
        values = [_shown(side.value) if side else "-" for side in sides]
        rows.append([each.key, *values, ", ".join(side.origin if side else "-" for side in sides)])
        pair = dict(zip(("first", "second"), (side.document() if side else None for side in sides), strict=True))
        documents.append({"key": each.key, **pair})
    columns = ("KEY", first.upper(), second.upper(), "FROM")
    document = {"first": first, "second": second, "differences": documents}
    reporter.table(columns, rows, document, f"{first} and {second} do not differ")
    reporter.leave(2 if found else 0)


def _shown(value: object) -> str:
    return value if isinstance(value, str) and value else text.dumps(value, ensure_ascii=False)
