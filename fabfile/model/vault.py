"""What a vault holds: secrets by name with the day of their last change, and for whom it was sealed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pydantic import SecretStr

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One secret, and the day (ISO 8601) since which it is this one."""

    value: SecretStr
    changed: str


@dataclass(frozen=True)
class Vault:
    """All of a vault; `recipients` are those that it was sealed for, which an age file itself does not tell."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    recipients: tuple[str, ...] = ()

    def to_text(self) -> str:
        """One JSON document, with every value in it: to be sealed at once."""
        secrets = {
            name: {"value": entry.value.get_secret_value(), "changed": entry.changed}
            for name, entry in sorted(self.entries.items())
        }
        return json.dumps({"format": FORMAT, "recipients": list(self.recipients), "secrets": secrets}, indent=1)

    @staticmethod
    def from_text(text: str) -> Vault:
        """Raises ValueError, without a word of the text, for what `to_text` has not made."""
        try:
            found = json.loads(text)
            if found["format"] != FORMAT:
                raise ValueError("it was made by a newer version")
            entries = {
                str(name): Entry(SecretStr(str(one["value"])), _day(one["changed"]))
                for name, one in found["secrets"].items()
            }
            return Vault(entries, tuple(str(key) for key in found["recipients"]))
        except json.JSONDecodeError:
            raise ValueError("it holds no vault") from None
        except (KeyError, TypeError, AttributeError):
            raise ValueError("it holds something else than a vault") from None

    def holding(self, values: Mapping[str, SecretStr], today: str) -> Vault:
        """The same vault with exactly these values; those that are new or others are of today."""
        entries = {}
        for name, value in values.items():
            former = self.entries.get(name)
            same = former is not None and former.value == value
            entries[name] = former if same and former else Entry(value, today)
        return Vault(entries, self.recipients)

    def lines(self) -> str:
        """NAME=value, one on each line: what people edit."""
        return "".join(f"{name}={entry.value.get_secret_value()}\n" for name, entry in sorted(self.entries.items()))


def _day(text: str) -> str:
    try:
        return str(date.fromisoformat(text))
    except ValueError:
        raise ValueError("a date in it is none") from None


def parse_lines(text: str) -> dict[str, SecretStr]:
    """The values in what people edited: the rest of a line is the value, as it is; blank lines and # lines are nothing.

    Raises ValueError with the number of the line that is wrong, and none of its text.
    """
    found: dict[str, SecretStr] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(rf"({NAME})=(.*)", line.removesuffix("\r"), re.DOTALL)
        if match is None:
            raise ValueError(f"line {number} is not NAME=value")
        name, value = match.groups()
        if name in found:
            raise ValueError(f"line {number}: {name} is there twice")
        if fault := unfit(value):
            raise ValueError(f"line {number}: {name} {fault}")
        found[name] = SecretStr(value)
    return found


def unfit(value: str) -> str:
    """Why a value cannot be kept, or nothing: applications read it from one line of a file."""
    if not value:
        return "is empty"
    if re.search(r"[\n\r\0]", value):
        return "has a line break or NUL in it; keep the base64 of it"
    return ""
