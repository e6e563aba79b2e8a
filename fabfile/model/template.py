"""Text in which `{name}` stands for a value that is known later; `{{name}}` is the word in braces itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACE = re.compile(rf"\{{\{{({_NAME})\}}\}}|\{{({_NAME})\}}")


def names(text: str) -> frozenset[str]:
    """The names whose values belong into the text."""
    return frozenset(match[2] for match in _PLACE.finditer(text) if match[2])


def filled(text: str, values: Mapping[str, str], spell: Callable[[str], str] = str) -> str:
    """The text with each value in its place, as `spell` writes it there; other braces stay. Raises KeyError."""

    def value(match: re.Match[str]) -> str:
        return spell(values[match[2]]) if match[2] else f"{{{match[1]}}}"

    return _PLACE.sub(value, text)


def filled_within(value: object, values: Mapping[str, str]) -> object:
    """The same for every text in a JSON value, its keys left out."""
    if isinstance(value, str):
        return filled(value, values)
    if isinstance(value, dict):
        return {key: filled_within(entry, values) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [filled_within(entry, values) for entry in value]
    return value


def texts_within(value: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a JSON value with the keys and positions that lead to it."""
    if isinstance(value, str):
        yield (), value
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from (((key, *path), text) for path, text in texts_within(entry))
    elif isinstance(value, list | tuple):
        for place, entry in enumerate(value):
            yield from (((place, *path), text) for path, text in texts_within(entry))
