"""JSONPath as RFC 9535 has it: the only module that knows the library."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonpath import CompoundJSONPath, JSONPath


def check(path: str) -> str:
    """The path, if it is one. Raises ValueError."""
    _compiled(path)
    return path


def find(path: str, document: object) -> list[object]:
    """Every value in a JSON document to which the path leads, in the document's order."""
    # The library looks into arrays and objects only: anything else holds nothing but itself.
    if not isinstance(document, dict | list):
        return [document] if path == "$" else []
    return list(_compiled(path).findall(document))


@cache
def _compiled(path: str) -> JSONPath | CompoundJSONPath:
    from jsonpath import JSONPathEnvironment, JSONPathError  # loaded for environments with such a test only

    try:
        return JSONPathEnvironment(strict=True).compile(path)
    except (JSONPathError, RecursionError) as error:
        why = error.args[0] if error.args else "nested too deeply"
        raise ValueError(f"expected a JSONPath such as $.items[0].id: {why}") from None
