"""The kinds of value that a configuration file may hold: durations, percentages, names, ports and sourced values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Annotated

from annotated_types import GroupedMetadata
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)$")
INTERVALS = (900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 43200, 86400)
"""Seconds after which a calendar or crontab can repeat something evenly through the day, in one expression."""
PERCENTAGE = re.compile(r"^(\d+(?:\.\d+)?)%$")
SIZE = re.compile(r"^(\d{1,6})(MiB|GiB|TiB)$")
BYTES = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


@dataclass(frozen=True)
class Matching(GroupedMetadata):
    """Text of one shape: `pattern` decides for us and for editors, `expected` says it in words when it fails."""

    pattern: str
    expected: str

    def __iter__(self) -> Iterator[object]:
        yield AfterValidator(self._matching)
        yield WithJsonSchema({"type": "string", "pattern": self.pattern})

    def _matching(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise ValueError(f"expected {self.expected}")
        return value


def parse_duration(value: object) -> float:
    """Seconds in '500ms', '90s', '10m', '2h' or '7d'. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := DURATION.match(value.strip())):
        number, unit = match.groups()
        return float(number) * (0.001 if unit == "ms" else UNITS[unit])
    raise ValueError("expected a duration with its unit, such as 500ms, 90s, 10m, 2h or 7d")


def whole_days(seconds: float) -> float:
    """The duration, when it is of whole days. Raises ValueError otherwise."""
    if seconds % UNITS["d"]:
        raise ValueError("expected whole days, such as 30d")
    return seconds


def parse_percentage(value: object) -> float:
    """The fraction in '5%' or '0.5%'. Raises ValueError for anything else, and for more than 100%."""
    if isinstance(value, str) and (match := PERCENTAGE.match(value.strip())) and float(match[1]) <= 100:
        return float(match[1]) / 100
    raise ValueError("expected a percentage up to 100 with its sign, such as 5% or 0.5%")


def parse_size(value: object) -> int:
    """Bytes in '512MiB', '200GiB' or '1TiB'. Raises ValueError for anything else."""
    if isinstance(value, str) and (match := SIZE.match(value.strip())):
        return int(match[1]) * BYTES[match[2]]
    raise ValueError("expected a size with its unit, such as 512MiB, 200GiB or 1TiB")


def _recipient(value: str) -> str:
    from fabfile.encryption import check_recipient  # loads a library that only encrypted backups need

    check_recipient(value)
    return value


def _part_of_a_day(value: float) -> float:
    if value not in INTERVALS:
        raise ValueError("expected 15m, 20m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h or 1d")
    return value


def _real_day(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError("expected a day that the calendar has, such as 2026-11-21") from None
    return value


def _relative(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/") or not re.fullmatch(r"[A-Za-z0-9._/-]+", value):
        raise ValueError("expected a relative path of letters, digits, '.', '_', '-' and '/', without '..'")
    return value


def _program_first(value: tuple[str, ...]) -> tuple[str, ...]:
    if not re.fullmatch(r"[^-=][^=]*", value[0]):
        raise ValueError("expected a program first, and its arguments as further words, such as [npm, run, notify]")
    return value


def _no_control_characters(value: str) -> str:
    if re.search(r"[\x00-\x1f\x7f]", value):
        raise ValueError("control characters and line breaks are not allowed here")
    return value


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, allow_inf_nan=False),
    WithJsonSchema({"type": "string", "pattern": DURATION.pattern, "examples": ["90s", "10m"]}),
]
"""A length of time in seconds, written with its unit."""

Days = Annotated[Duration, AfterValidator(whole_days)]
"""A length of time in seconds that is a number of whole days."""
Interval = Annotated[Duration, AfterValidator(_part_of_a_day)]
"""A length of time in seconds, after which something is done again at the same times of every day."""

Percentage = Annotated[
    float,
    BeforeValidator(parse_percentage),
    Field(gt=0),
    WithJsonSchema({"type": "string", "pattern": PERCENTAGE.pattern, "examples": ["5%", "0.5%"]}),
]
"""A part of a whole, written as `5%` and kept as a fraction."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    Field(gt=0, le=5 << 40),
    WithJsonSchema({"type": "string", "pattern": SIZE.pattern, "examples": ["200GiB", "1TiB"]}),
]
"""A number of bytes, written with its unit; at most 5 TiB, the largest object of S3."""

Ratio = Annotated[float, Field(strict=True, ge=1, allow_inf_nan=False)]
"""How many times as much, as a plain number."""

Name = Annotated[
    str, Matching(r"^[a-z][a-z0-9-]{0,31}$", "lower-case letters, digits and dashes, a letter first, at most 32")
]
"""A name that is safe in paths, process names and nginx: lower case, digits and dashes."""

HostName = Annotated[str, Matching(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$", "a host name or IPv4 address")]
OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])"
Address = Annotated[str, Matching(rf"^{OCTET}(\.{OCTET}){{3}}$", "an IPv4 address")]
Identifier = Annotated[
    str,
    Matching(
        r"^[A-Za-z_][A-Za-z0-9_]{0,62}$", "a PostgreSQL name: letters, digits and '_', no digit first, at most 63"
    ),
]
"""A PostgreSQL name that needs no quoting rules explained."""

VariableName = Annotated[
    str, Matching(r"^[A-Za-z_][A-Za-z0-9_]*$", "a variable name: letters, digits and '_', no digit first")
]
Port = Annotated[int, Field(ge=1, le=65535)]
RelativePath = Annotated[str, AfterValidator(_relative)]
UrlPath = Annotated[
    str, Matching(r"^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$", "a URL path that begins with '/', such as /api/health")
]
PlainText = Annotated[str, AfterValidator(_no_control_characters)]

CommandWords = Annotated[tuple[PlainText, ...], Field(min_length=1), AfterValidator(_program_first)]
"""A program and its arguments, each exactly one word."""

LOCALLY = r"env:[A-Za-z_][A-Za-z0-9_]*|file:.+"
ELSEWHERE = (
    r"dotenv:[^#]+#[A-Za-z_][A-Za-z0-9_]*|age:[A-Za-z_][A-Za-z0-9_]*|"
    r"aws:[A-Za-z0-9_/+=.@:!-]+(#.+)?|ssm:[A-Za-z0-9_/.:-]+"
)
Sourced = Annotated[
    str,
    Matching(
        rf"^({LOCALLY}|{ELSEWHERE})$",
        "env:NAME, file:PATH, dotenv:PATH#NAME, age:NAME, aws:SECRET#KEY or ssm:PARAMETER, never the value itself",
    ),
]
"""Where a value comes from, never the value itself.

`env:NAME` a variable, `file:PATH` a private file that holds nothing else, `dotenv:PATH#NAME` a line of one with many,
`age:NAME` an entry of the `vault`, `aws:SECRET` or `aws:SECRET#KEY` Secrets Manager, `ssm:PARAMETER` Parameter Store.
"""

LocallySourced = Annotated[str, Matching(rf"^({LOCALLY})$", "env:NAME or file:PATH, never the value itself")]
"""The same for a key that opens what the others are kept in."""

Day = Annotated[str, Matching(r"^\d{4}-\d\d-\d\d$", "a day such as 2026-11-21"), AfterValidator(_real_day)]
"""A day of the calendar, ISO 8601."""

Endpoint = Annotated[
    str,
    Matching(r"^(env:[A-Za-z_][A-Za-z0-9_]*|https?://[!-~]+)$", "the service's URL (http:// or https://), or env:NAME"),
]

Recipient = Annotated[PlainText, AfterValidator(_recipient)]
"""A public key that age can encrypt for: `age1…`, `ssh-ed25519 …` or `ssh-rsa …`."""
