"""The schema as JSON Schema, for editors that complete and check `hosts/*.yml` while they are written."""

from __future__ import annotations

import json
import sys

from fabfile.config.schema import Environment
from fabfile.config.values import DURATION, PERCENTAGE, UNITS


def json_schema() -> dict[str, object]:
    """JSON Schema 2020-12 of one environment; `hosts/schema.json` holds it as `as_text` writes it."""
    schema = Environment.model_json_schema()
    _as_written(schema)
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
        node["default"] = _duration(node["default"])
    if node.get("pattern") == PERCENTAGE.pattern and "default" in node:
        node["default"] = f"{100 * node['default']:g}%"
    for entry in node.values():
        _as_written(entry)


def _duration(seconds: float) -> str:
    """The shortest whole form: 600.0 is `10m`."""
    for unit, length in sorted(UNITS.items(), key=lambda pair: -pair[1]):
        if seconds % length == 0:
            return f"{int(seconds / length)}{unit}"
    return f"{round(seconds * 1000)}ms"


if __name__ == "__main__":
    sys.stdout.write(as_text())
