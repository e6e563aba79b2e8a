"""What is in force in an environment: every value, where it comes from, and no secret; and how two of them differ."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from fabfile.config.document import KeyPath, dotted
from fabfile.config.layers import Layers, read
from fabfile.config.load import load
from fabfile.config.spelling import spelled
from fabfile.model.hidden import HIDDEN

DEFAULT = "default"
_SENSITIVE = re.compile(r"pass|pwd|secret|token|key|credential|auth|private|dsn|cookie", re.IGNORECASE)
_IN_URL = re.compile(r"(://)[^/@\s]+@")
_IN_WORD = re.compile(
    r"((?:password|passwd|secret|token|api-?key|authorization)[\w-]*\s*[=:]|cookie:\s).+", re.IGNORECASE
)
_FLAG = re.compile(r"-+[\w-]*(?:password|passwd|secret|token|api-?key)", re.IGNORECASE)
"""What goes before a secret in a command."""


@dataclass(frozen=True)
class Setting:
    """One value in force: its dotted key, the value as a file would have it, and `hosts/base.yml:12` or `default`.

    `hidden` is the real value where another is shown in its place, for comparisons.
    """

    key: str
    value: object
    origin: str
    hidden: SecretStr | None = None

    def document(self) -> dict[str, object]:
        """The same for JSON, without what is hidden."""
        return {"key": self.key, "value": self.value, "origin": self.origin}


@dataclass(frozen=True)
class Difference:
    """One key whose values differ; None where an environment has no such key."""

    key: str
    first: Setting | None
    second: Setting | None


def settings(name: str, project: Path) -> tuple[Setting, ...]:
    """Everything in force in an environment, in the order of the schema. Raises BadInput as `load` does.

    Secrets are where they come from (`env:NAME`); what looks like one written in plain sight is hidden.
    """
    environment = load(name, project)
    return tuple(_in_section(environment, (), read(f"{name}.yml", project)))


def differences(first: tuple[Setting, ...], second: tuple[Setting, ...]) -> tuple[Difference, ...]:
    """What differs between two environments: the first one's keys in their order, then what only the second has.

    What only one of them has is left out where it is a default, and where it is nothing in the place of something: the
    keys that tell of the difference are others.
    """
    ours, theirs = _by_key(first), _by_key(second)
    found = []
    for key in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(key), theirs.get(key)
        if one and other:
            differs = (one.value, one.hidden) != (other.value, other.hidden)
        else:
            there, beyond = (one, theirs) if one else (other, ours)
            below = any(name.startswith((f"{key}.", f"{key}[")) for name in beyond)
            differs = there is not None and there.origin != DEFAULT and not below
        if differs:
            found.append(Difference(key, one, other))
    return tuple(found)


def _by_key(found: tuple[Setting, ...]) -> Mapping[str, Setting]:
    return {setting.key: setting for setting in found}


def _in_section(section: BaseModel, path: KeyPath, layers: Layers) -> Iterator[Setting]:
    for name, field in type(section).model_fields.items():
        yield from _below(getattr(section, name), field, (*path, field.alias or name), layers)


def _below(value: object, field: FieldInfo, path: KeyPath, layers: Layers) -> Iterator[Setting]:
    """The settings at a key: those of the section, list or mapping that stands there, or the value itself."""
    if isinstance(value, BaseModel):
        yield from _in_section(value, path, layers)
    elif isinstance(value, dict) and value:
        for name, entry in value.items():
            if isinstance(entry, BaseModel) and not entry.model_fields_set:
                yield Setting(dotted((*path, name)), {}, _origin((*path, name), layers))
            yield from _below(entry, field, (*path, name), layers)
    elif isinstance(value, tuple) and any(isinstance(entry, BaseModel) for entry in value):
        for place, entry in enumerate(value):
            yield from _below(entry, field, (*path, place), layers)
    else:
        plain = spelled(value, field)
        shown = _redacted(plain, path)
        hidden = None if shown == plain else SecretStr(repr(plain))
        yield Setting(dotted(path), shown, _origin(path, layers), hidden)


def _origin(path: KeyPath, layers: Layers) -> str:
    return str(layers.origin(path)) if layers.is_written(path) else DEFAULT


def _redacted(value: object, path: KeyPath) -> object:
    if isinstance(value, list):
        flagged = [isinstance(before, str) and bool(_FLAG.fullmatch(before)) for before in ("", *value)]
        return [HIDDEN if now else _redacted(entry, path) for entry, now in zip(value, flagged, strict=False)]
    if not isinstance(value, str):
        return value
    in_request = path[0] == "smoke" and not {"headers", "body"}.isdisjoint(path)
    if (path[0] == "env" or in_request) and _SENSITIVE.search(str(path[-1])):
        return HIDDEN
    return _IN_WORD.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}@", value))
