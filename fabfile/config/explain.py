"""What the schema refuses, in words: what was expected at a path, what to write instead, and never a secret."""

from __future__ import annotations

import re
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from fabfile.config.document import Document, Fault, KeyPath
from fabfile.config.schema import Environment
from fabfile.config.suggest import suggest

_LIMITS = {"greater_than": "more than", "greater_than_equal": "at least", "less_than_equal": "at most"}
_LIMIT_KEYS = {"greater_than": "gt", "greater_than_equal": "ge", "less_than_equal": "le"}
_SENSITIVE = re.compile(r"password|passwd|secret|token|key|credential|^env$", re.IGNORECASE)


def explain(error: ErrorDetails, document: Document) -> Fault:
    """One pydantic error, at the line of its key or entry; a missing key is at the line of its section."""
    path: KeyPath = tuple(part for part in error["loc"] if part != "[key]")
    if error["type"] == "extra_forbidden":
        text = f"unknown key; {_known(str(path[-1]), _keys_at(path[:-1]))}"
    else:
        text = _expected(error, path, document)
    return Fault(document.line(path), path, text)


def _known(word: str, known: list[str]) -> str:
    return suggest(word, known) or f"known here: {', '.join(known)}"


def _expected(error: ErrorDetails, path: KeyPath, document: Document) -> str:
    kind, context = error["type"], error.get("ctx", {})
    match kind:
        case "missing":
            return "this key is required and missing"
        case "value_error":
            return str(context["error"]) + _found(error, path, document)
        case "string_type":
            return _expected_text(error["input"], path, document)
        case "literal_error":
            choices = re.findall(r"'([^']*)'", context["expected"])
            close = suggest(str(error["input"]), choices)
            return f"expected {context['expected']}" + (f"; {close}" if close else _found(error, path, document))
        case "too_short":
            return "expected at least one entry"
        case "greater_than" | "greater_than_equal" | "less_than_equal":
            return f"expected {_LIMITS[kind]} {context[_LIMIT_KEYS[kind]]:g}" + _found(error, path, document)
    return _expected_shape(error, path, document)


def _expected_shape(error: ErrorDetails, path: KeyPath, document: Document) -> str:
    value, kind = error["input"], error["type"]
    quoted = ", without quotes" if isinstance(value, str) else ""
    if kind.startswith("int_"):
        return f"expected a whole number{quoted}" + _found(error, path, document)
    if kind.startswith("float_") or kind == "finite_number":
        return f"expected a number{quoted}" + _found(error, path, document)
    if kind.startswith("bool_"):
        return f"expected true or false{quoted}" + _found(error, path, document)
    if kind == "tuple_type":
        return "expected a list, such as [one, two]"
    if kind in ("dict_type", "model_type"):
        empty = ", but nothing is there; remove the key or write {}"
        return "expected keys below it, each as `key: value`" + (empty if value is None else "")
    return str(error["msg"])


def _expected_text(value: object, path: KeyPath, document: Document) -> str:
    if isinstance(value, dict | list):
        return "expected text, not " + ("keys" if isinstance(value, dict) else "a list")
    if value is None:
        return "expected text, but nothing is there; quote it if it is meant to be empty or 'null'"
    kind = "true or false" if isinstance(value, bool) else "a number"
    if _is_sensitive(path):
        return f"expected text, but this reads as {kind}; quote it"
    written = document.written.get(path, "")
    return f'expected text, but {written} reads as {kind}; quote it: "{written}"'


def _found(error: ErrorDetails, path: KeyPath, document: Document) -> str:
    """`, not 99999`: only numbers and booleans, because text at the wrong place may be a pasted secret."""
    value = error["input"]
    if not isinstance(value, bool | int | float) or _is_sensitive(path):
        return ""
    return f", not {document.written.get(path, value)}"


def _is_sensitive(path: KeyPath) -> bool:
    """A variable under `env` counts too: people put secrets there by mistake, and it is the mistakes we print."""
    return any(_SENSITIVE.search(part) for part in path if isinstance(part, str))


def _keys_at(path: KeyPath) -> list[str]:
    """The keys that the schema knows in the section at `path`."""
    section: type[BaseModel] = Environment
    named = False
    for part in path:
        if named:
            # A name below a dict such as `hosts` or a place in a list, not a key of the section that stands there.
            named = False
            continue
        annotation = _fields(section)[str(part)].annotation
        section, named = _section(annotation), get_origin(annotation) in (dict, tuple)
    return list(_fields(section))


def _fields(section: type[BaseModel]) -> dict[str, FieldInfo]:
    """The section's keys as they are written."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def _section(annotation: object) -> type[BaseModel]:
    """The model inside `Model`, `Model | None`, `dict[str, Model]` or `tuple[Model, ...]`."""
    models = (kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type))
    return next(kind for kind in models if issubclass(kind, BaseModel))
