"""Lines of a dotenv file as names and values."""

from __future__ import annotations

import re
from collections.abc import Mapping

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)", re.DOTALL)
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?:#.*)?', re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'\s*(?:#.*)?", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse(text: str) -> Mapping[str, str]:
    """NAME=value on each line, `export` before it or not; of a name that is there twice the last one counts.

    Between single quotes everything is as it is, between double quotes a backslash escapes; without any the value ends
    at a ` #` or at the blanks before the line's end. Nothing is substituted. Raises ValueError with the number of the
    line that is wrong, and none of its text.
    """
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            raise ValueError(f"line {number} is not NAME=value")
        found[match[1]] = _value(match[2], number)
    return found


def _value(written: str, number: int) -> str:
    if written.startswith("'"):
        if quoted := _SINGLE.fullmatch(written):
            return quoted[1]
    elif written.startswith('"'):
        if quoted := _DOUBLE.fullmatch(written):
            return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted[1], flags=re.DOTALL)
    else:
        return re.split(r"(?:^|\s)#", written, maxsplit=1)[0].rstrip()
    raise ValueError(f"line {number}: a quotation mark is not closed, or something follows it")
