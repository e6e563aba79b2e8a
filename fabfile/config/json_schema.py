"""The schema as JSON Schema, for editors that complete and check `hosts/*.yml` while they are written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from fabfile.config.schema import Environment
from fabfile.config.spelling import duration_text, percentage_text
from fabfile.config.values import DURATION, PERCENTAGE


def json_schema() -> dict[str, object]:
    """JSON Schema 2020-12 of one environment; `hosts/schema.json` holds it as `as_text` writes it."""
    schema = Environment.model_json_schema()
    _as_written(schema)
    _completed_elsewhere(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def as_text() -> str:
    """The content of `hosts/schema.json`; renew it with `python -m fabfile.config.json_schema >hosts/schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _as_written(node: object) -> None:
    """Show defaults as a person writes them: quantities with their unit, a section's only at its own keys."""
    if isinstance(node, list):
        for entry in node:
            _as_written(entry)
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        node.pop("default", None)
    shapes = [node, *node.get("anyOf", [])]
    if any(shape.get("pattern") == DURATION.pattern for shape in shapes) and node.get("default") is not None:
        node["default"] = duration_text(node["default"])
    if node.get("pattern") == PERCENTAGE.pattern and "default" in node:
        node["default"] = percentage_text(node["default"])
    for entry in node.values():
        _as_written(entry)


def _completed_elsewhere(schema: dict[str, Any]) -> None:
    """Ask for no key that another file may bring, which extends this one or is extended: only lists are whole."""
    whole = {ref for node in _nodes(schema) for ref in _refs(node.get("items"))}
    for name, section in schema["$defs"].items():
        if f"#/$defs/{name}" not in whole:
            section.pop("required", None)
    schema["anyOf"] = [{"required": schema.pop("required")}, {"required": ["extends"]}, {"required": ["base"]}]


def _nodes(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _nodes(inner)


def _refs(node: object) -> list[str]:
    return [found["$ref"] for found in _nodes(node) if "$ref" in found]


if __name__ == "__main__":
    sys.stdout.write(as_text())
