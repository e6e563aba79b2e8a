"""Values that no output may show."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
SHORTEST = 4
"""Values of fewer characters are not looked for inside other text: they are in everything."""
LONGEST = 200
"""Characters of a text that are shown."""


class Hidden:
    """Values that are replaced wherever they show, as they are and as JSON and URLs spell them; for several threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self.add(values)

    @property
    def spellings(self) -> list[str]:
        """All ways in which one of them may be written, the longest first."""
        found = {
            spelling
            for value in self._values
            for spelling in (
                value,
                json.dumps(value)[1:-1],
                json.dumps(value, ensure_ascii=False)[1:-1],
                quote(value, safe="", errors="replace"),
                quote_plus(value, errors="replace"),
            )
            if len(value) >= SHORTEST
        }
        return sorted(found, key=len, reverse=True)

    def add(self, values: Iterable[str]) -> None:
        """Hide these as well."""
        with self._lock:
            self._values |= frozenset(filter(None, values))

    def clean(self, text: str) -> str:
        """The text without them."""
        if text in self._values:
            return HIDDEN
        spellings = "|".join(map(re.escape, self.spellings))
        return re.sub(spellings, HIDDEN, text) if spellings else text

    def excerpt(self, text: str) -> str:
        """The beginning of the text on one line, without them: what is cut in half would be hidden no more."""
        line = " ".join(self.clean(text.strip()).split())
        return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"

    def shown(self, value: object) -> str:
        """A JSON value as such an excerpt."""
        if isinstance(value, str) and value in self._values:
            return HIDDEN
        return self.excerpt(json.dumps(value, ensure_ascii=False, default=str))
