"""Values as a person would write them in a file: 600.0 seconds is `10m`, 0.05 is `5%`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BeforeValidator
from pydantic.fields import FieldInfo

from fabfile.config.values import BYTES, UNITS, parse_duration, parse_percentage, parse_size


def duration_text(seconds: float) -> str:
    """The shortest whole form: 600.0 is `10m`."""
    for unit, length in sorted(UNITS.items(), key=lambda pair: -pair[1]):
        if seconds % length == 0:
            return f"{int(seconds / length)}{unit}"
    return f"{round(seconds * 1000)}ms"


def percentage_text(fraction: float) -> str:
    """0.05 is `5%`."""
    return f"{100 * fraction:g}%"


def size_text(size: int) -> str:
    """The largest unit that goes into it: 1 << 40 is `1TiB`."""
    unit = next((unit for unit, length in reversed(BYTES.items()) if size % length == 0), "MiB")
    return f"{size // BYTES[unit]}{unit}"


_SPELLINGS: Mapping[object, Callable[[Any], str]] = {
    parse_duration: duration_text,
    parse_percentage: percentage_text,
    parse_size: size_text,
}


def spelled(value: object, field: FieldInfo) -> object:
    """A field's value, which is no section, as plain data: text, number, boolean, None, list or mapping."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, tuple):
        return [spelled(entry, field) for entry in value]
    if isinstance(value, dict):
        return {name: spelled(entry, field) for name, entry in value.items()}
    for entry in (*field.metadata, *_inside(field.annotation)):
        if isinstance(entry, BeforeValidator) and (spell := _SPELLINGS.get(entry.func)):
            return spell(value)
    return value


def _inside(annotation: object) -> Iterator[object]:
    """Everything that annotates a type or one inside it, as in `Duration | None`."""
    yield from getattr(annotation, "__metadata__", ())
    for entry in get_args(annotation):
        yield from _inside(entry)
