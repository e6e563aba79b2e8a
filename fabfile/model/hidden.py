"""Values that no output may show."""

from __future__ import annotations

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "[hidden]"
SHORTEST = 4
"""Values of fewer characters are not looked for inside other text: they are in everything."""
LINE = 20
"""A line of at least so many characters, of a value with several, is hidden where it stands alone, too."""
LONGEST = 200
"""Characters of a text that are shown."""


class Hidden:
    """Values that are replaced wherever they show, as they are and as JSON, URLs, Python and base64 spell them; for
    several threads."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: frozenset[str] = frozenset()
        self._spellings: tuple[str, ...] = ()
        """The longest first."""
        self._lock = threading.Lock()
        self.add(values)

    @property
    def values(self) -> frozenset[str]:
        """What is hidden so far."""
        return self._values

    def add(self, values: Iterable[str]) -> None:
        """Hide these as well."""
        with self._lock:
            self._values |= frozenset(filter(None, values))
            found = {spelling for value in self._values for part in _parts(value) for spelling in _spellings(part)}
            self._spellings = tuple(sorted(found, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """The text without them."""
        if text in self._values:
            return HIDDEN
        found = [spelling for spelling in self._spellings if spelling in text]  # most texts have none
        return re.sub("|".join(map(re.escape, found)), HIDDEN, text) if found else text

    def excerpt(self, text: str) -> str:
        """The beginning of the text on one line, without them: what is cut in half would be hidden no more."""
        line = " ".join(self.clean(text.strip()).split())
        return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"

    def shown(self, value: object) -> str:
        """A JSON value as such an excerpt."""
        if isinstance(value, str) and value in self._values:
            return HIDDEN
        return self.excerpt(json.dumps(value, ensure_ascii=False, default=str))


def _parts(value: str) -> Iterable[str]:
    lines = value.splitlines()
    return {value, *(line for line in lines if len(line) >= LINE)} if len(value) >= SHORTEST else ()


def _spellings(value: str) -> Iterable[str]:
    data = value.encode(errors="surrogatepass")
    yield from (value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1], repr(value)[1:-1])
    yield from (quote(data), quote(data, safe=""), quote_plus(data), b64encode(data).decode())
    if len(data) >= 2 * SHORTEST:  # in the middle of a longer text, as in a Basic authorization
        for offset, first in enumerate((0, 2, 3)):
            yield b64encode(bytes(offset) + data).decode()[first : 8 * (offset + len(data)) // 6]
