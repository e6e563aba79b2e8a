"""Every value that an environment points to, and which of them cannot be read here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fabfile.config.reader import Reader
from fabfile.config.schema import Environment
from fabfile.errors import BadInput

IDENTITY = "backup.identity"
"""The one value that is needed to restore, and for nothing else."""


@dataclass(frozen=True)
class Unreadable:
    """A value that is not there: the key that points to it, from where, and what is wrong with that."""

    key: str
    source: str
    fact: str
    hint: str


def required(environment: Environment) -> Mapping[str, str]:
    """Where each value comes from, by its key; `database.repository` is left out, as `inv backup.pitr-setup` alone
    reads it, with somebody at hand."""
    return dict(_required(environment))


def unreadable(environment: Environment, project: Path, environ: Mapping[str, str]) -> tuple[Unreadable, ...]:
    """All of them that cannot be read, in the order of the file."""
    found, reader = [], Reader.of(environment, project, environ)
    for key, source in required(environment).items():
        try:
            reader.read(source, key)
        except BadInput as error:
            found.append(Unreadable(key, source, error.fact.removeprefix(f"{key}: "), error.hint))
    return tuple(found)


def _required(environment: Environment) -> Iterator[tuple[str, str]]:
    for name, source in environment.secrets.items():
        yield f"secrets.{name}", source
    for name, source in environment.smoke.secrets.items():
        yield f"smoke.secrets.{name}", source
    if environment.database:
        yield "database.password", environment.database.password
    if backup := environment.backup:
        copy = backup.copy_to
        for key, endpoint in (("backup.endpoint", backup.endpoint), ("backup.copy.endpoint", copy and copy.endpoint)):
            if endpoint and endpoint.startswith("env:"):
                yield key, endpoint
        if backup.identity:
            yield IDENTITY, backup.identity
        if backup.schedule.ping:
            yield "backup.schedule.ping", backup.schedule.ping
    for place, source in enumerate(environment.notify):
        yield f"notify.{place}", source
