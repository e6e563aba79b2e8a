"""`inv secrets.list`: where every secret is, how old, and what should be changed about it; never a value."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fabfile.config.reader import Found
    from fabfile.config.schema import Environment

DUE = 2
"""The exit code for: there is something to do."""


@verb(help={"env": ENV, "json": JSON}, name="list")
def list_secrets(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """List every secret, where it is, how old, and when to change it; exit 2 when there is something to do."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from fabfile.backends import PROJECT
    from fabfile.config.load import choose, load
    from fabfile.planning.custody import inventory

    name = choose(env, PROJECT, os.environ)
    environment = load(name, PROJECT)
    found, unreadable = _found(environment, PROJECT)
    changed = {key: one.changed for key, one in found.items() if one.changed}
    today = datetime.now(UTC).date()
    items = inventory(environment.secrets, changed, environment.custody, today)
    remarks = [*unreadable.values(), *_of_the_vault(name, environment, PROJECT)]
    same, unknown = _same(name, environment, PROJECT, found)
    rows, documents = [], []
    for item in items:
        age = f"{(today - item.changed).days} d" if item.changed else "-"
        state = "cannot be read" if item.name in unreadable else item.state
        note = f"same as {same[item.name]}" if item.name in same else ""
        rows.append([item.name, item.source, str(item.changed or "-"), age, str(item.due or "-"), state, note])
        documents.append({**asdict(item), "readable": item.name not in unreadable, "same_as": same.get(item.name)})
    for line in [*remarks, *unknown]:
        reporter.say(line)
    document = {"environment": name, "secrets": documents, "remarks": remarks}
    columns = ("NAME", "FROM", "CHANGED", "AGE", "DUE", "STATE", "NOTE")
    reporter.table(columns, rows, document, f"{name} has no secrets")
    reporter.leave(DUE if same or remarks or any(item.state == "due" for item in items) else 0)


def _found(environment: Environment, project: Path) -> tuple[dict[str, Found], dict[str, str]]:
    """Every secret that can be read here, and why the others cannot."""
    from fabfile.config.reader import Reader

    reader = Reader.of(environment, project, os.environ)
    found, unreadable = {}, {}
    for name, source in environment.secrets.items():
        try:
            found[name] = reader.read(source, f"secrets.{name}")
        except BadInput as error:
            unreadable[name] = f"{error.fact}; {error.hint}"
    return found, unreadable


def _same(
    name: str, environment: Environment, project: Path, found: Mapping[str, Found]
) -> tuple[dict[str, str], list[str]]:
    """By name, of which environment's secret it is the value, too; and what could not be compared."""
    from fabfile.config.separation import compare

    values = {key: one.value for key, one in found.items()}
    compared = compare(name, environment, values, project, os.environ)
    if compared is None:
        return {}, []
    same = {ours: f"{compared.other}'s {theirs}" for ours, theirs in compared.shared}
    return same, list(filter(None, [compared.sentence()]))


def _of_the_vault(name: str, environment: Environment, project: Path) -> list[str]:
    """What is to be done about the vault; nothing where it cannot be read here, which its secrets tell."""
    from fabfile.config.variables import sources
    from fabfile.config.vault_file import open_vault

    settings = environment.vault
    if settings is None:
        return []
    try:
        opened = open_vault(settings, project, os.environ)
    except BadInput:
        return []
    used = {source.removeprefix("age:") for source in sources(environment) if source.startswith("age:")}
    remarks = [
        f"{settings.file} has {entry}, which nothing uses; inv secrets.edit takes it out"
        for entry in sorted(opened.vault.entries)
        if entry not in used
    ]
    if opened.sealed is not None and set(opened.vault.recipients) != set(settings.recipients):
        remarks.append(
            f"{settings.file} is sealed for others than vault.recipients names: inv secrets.rekey --env={name}"
        )
    return remarks
