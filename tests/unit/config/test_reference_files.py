"""The files in hosts/ that people copy from agree with the schema: every key, and every default as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from fabfile.config.document import KeyPath, dotted, parse
from fabfile.config.json_schema import as_text
from fabfile.config.load import load
from fabfile.config.schema import Environment

PROJECT = Path(__file__).parents[3]
EXAMPLE = (PROJECT / "hosts" / "example.yml").read_text(encoding="utf-8")
FIRST = {
    "hosts": "web1",
    "http": "log-in",
    "websocket": "live-items",
    "tcp": "cache",
    "sql": "items",
    "command": "accessibility",
}
HEAD = "# yaml-language-server: $schema=schema.json"


def fields(section: type[BaseModel], path: KeyPath) -> Iterator[tuple[KeyPath, FieldInfo]]:
    """Every key of the schema; what has a name is called as the example's first, and a list's entry is shown once."""
    listed: set[object] = set()
    for attribute, field in section.model_fields.items():
        name = field.alias or attribute
        yield (*path, name), field
        below: dict[object, KeyPath] = {dict: (*path, name, FIRST.get(name, "")), tuple: (*path, name, 0)}
        origin = get_origin(field.annotation)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in listed:
                yield from fields(kind, below.get(origin, (*path, name)))
                listed |= {kind} if origin is tuple else set()


FIELDS = dict(fields(Environment, ()))


def value_at(path: KeyPath) -> object:
    value: object = load("example", PROJECT)
    for part in path:
        if isinstance(value, BaseModel):
            value = getattr(value, str(part).replace("-", "_"))
        else:
            assert isinstance(value, dict | tuple)
            value = value[part]  # type: ignore[index]
    return value


@pytest.mark.parametrize("path", FIELDS, ids=dotted)
def test_the_example_shows_every_key_with_its_default(path: KeyPath) -> None:
    document = parse(EXAMPLE)
    assert path in document.lines
    comment = EXAMPLE.splitlines()[document.line(path) - 2].strip()
    assert comment.startswith("# ")
    field = FIELDS[path]
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        assert comment.startswith("# Required. ")
    elif stated := re.search(r"\(default: (.+)\)$", comment):
        assert yaml.safe_load(stated[1]) == to_jsonable_python(default)
    elif not isinstance(default, BaseModel):
        assert value_at(path) == default
    assert field.is_required() or "Required." not in comment


def test_the_example_is_in_the_order_of_the_schema() -> None:
    lines = parse(EXAMPLE).lines
    shown = sorted(FIELDS, key=lambda path: lines[path])
    assert shown == list(FIELDS)


def test_every_key_of_the_schema_is_explained() -> None:
    sections = {"ssh", "build", "release", "process", "health", "site", "gates", "smoke", "hooks", "database", "backup"}
    sections |= {"vault"}
    silent = {dotted(path) for path, field in FIELDS.items() if not field.description}
    assert silent <= sections


def test_the_json_schema_for_editors_is_current() -> None:
    committed = (PROJECT / "hosts" / "schema.json").read_text(encoding="utf-8")
    assert committed == as_text(), "run: python -m fabfile.config.json_schema >hosts/schema.json"


def test_the_json_schema_shows_durations_and_percentages_as_they_are_written() -> None:
    text = as_text()
    assert '"default": "10m"' in text
    assert '"default": "1m"' in text
    assert '"default": "5%"' in text
    assert '"default": 600.0' not in text


@pytest.mark.parametrize("name", ["example", "demo"])
def test_files_tell_editors_their_schema(name: str) -> None:
    assert (PROJECT / "hosts" / f"{name}.yml").read_text(encoding="utf-8").splitlines()[0] == HEAD


def test_the_demo_has_two_application_hosts_and_one_for_the_database() -> None:
    environment = load("demo", PROJECT)
    assert environment.app_hosts == ("h1", "h2")
    assert environment.hosts["db"].roles == ("db",)
    assert environment.database is not None
    assert environment.database.via == "db"
