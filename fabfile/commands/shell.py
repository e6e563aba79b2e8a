"""The one place where values become bash: bodies are constant, values enter as quoted variables."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

Value = str | int | float | Sequence[str]

PREAMBLE = """set -euo pipefail
umask 027
fail() { printf '%s\\n' "$@" >&2; exit 1; }
"""
"""What every program begins with: strictness, and a way to say why it ends."""


def quote(value: Value) -> str:
    """One shell word, or an array literal for a sequence. Raises ValueError for NUL, which bash cannot hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a NUL byte cannot be passed to a shell")
        return shlex.quote(value)
    if isinstance(value, int | float):
        return str(value)
    return "(" + " ".join(quote(word) for word in value) + ")"


def bind(body: str, **values: Value) -> str:
    """`body` as a bash program in which each keyword is a variable of that value; it runs behind PREAMBLE."""
    for name in values:
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
            raise ValueError(f"{name} is no variable name")
    assignments = "".join(f"{name}={quote(value)}\n" for name, value in values.items())
    return assignments + body.strip("\n") + "\n"


def words(*parts: str) -> str:
    """A command line in which every part is exactly one word."""
    return " ".join(shlex.quote(part) for part in parts)
