"""Where a configuration says that values come from, wherever in it that may be, and which variables are among that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import BaseModel

from fabfile.config.schema import Environment
from fabfile.config.smoke import SmokeSettings
from fabfile.config.values import Matching
from fabfile.config.vault_file import IDENTITY

OF_THE_STORE = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONFIG_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_CA_BUNDLE",
    "AWS_DEFAULT_REGION",
)
"""What the clients of AWS's services read by themselves, where it is set; no configuration names it."""

SECRET_BY_NAME = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", IDENTITY)
"""Variables that no configuration names and whose values nobody may see."""


def variables(environment: Environment) -> tuple[str, ...]:
    """The names behind every `env:NAME` of the configuration, sorted; plain text that looks so is none.

    Those of `database.repository` and `smoke` are left out: what needs them is typed by somebody who has them.
    """
    environment = environment.model_copy(update={"smoke": SmokeSettings()})
    if environment.database:
        database = environment.database.model_copy(update={"repository": None})
        environment = environment.model_copy(update={"database": database})
    named = {found.removeprefix("env:") for found in sources(environment) if found.startswith("env:")}
    return tuple(sorted(named | ({IDENTITY} if environment.vault else set())))


def secret_values(environment: Environment, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The values of all variables that nobody may see: of those that no configuration names, and of all that this one
    points to but for the addresses of its stores."""
    stores = [environment.backup, environment.backup.copy_to] if environment.backup else []
    named = {found.removeprefix("env:") for found in sources(environment) if found.startswith("env:")}
    plain = {(store.endpoint or "").removeprefix("env:") for store in stores if store}
    return tuple(filter(None, map(environ.get, (*SECRET_BY_NAME, *sorted(named - plain)))))


def sources(section: BaseModel) -> Iterator[str]:
    """Everything of a section, and those below it, that says where its value comes from."""
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        sourced = any(_points(entry) for entry in (*field.metadata, field.annotation))
        for found in _leaves(value):
            if isinstance(found, BaseModel):
                yield from sources(found)
            elif sourced and isinstance(found, str):
                yield found


def _points(annotation: object) -> bool:
    """Whether a type, or one inside it, is that of a value which says where it comes from."""
    if isinstance(annotation, Matching):
        return annotation.pattern.startswith("^(env:")
    inside = (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return any(_points(entry) for entry in inside)


def _leaves(value: object) -> Iterator[object]:
    if isinstance(value, dict | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _leaves(entry)
    else:
        yield value
