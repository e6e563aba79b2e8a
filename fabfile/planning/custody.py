"""Which secrets are old enough to be changed, and what two environments may not share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from fabfile.config.custody import DAY, CustodySettings
from fabfile.config.separation import Comparison
from fabfile.errors import Refused

State = Literal["fresh", "due", "unknown"]


@dataclass(frozen=True)
class Item:
    """One secret: its name, where it is, since when it is this one, and from when on it is due to be changed.

    The state is `unknown` where neither its source nor `custody.changed` tells since when.
    """

    name: str
    source: str
    changed: date | None
    due: date | None
    state: State


def inventory(
    secrets: Mapping[str, str], changed: Mapping[str, datetime], custody: CustodySettings, today: date
) -> tuple[Item, ...]:
    """Every secret, in the file's order. What people wrote down goes before what a source tells."""
    return tuple(_item(name, source, changed.get(name), custody, today) for name, source in secrets.items())


def _item(name: str, source: str, told: datetime | None, custody: CustodySettings, today: date) -> Item:
    written = custody.changed.get(name)
    since = date.fromisoformat(written) if written else told.date() if told else None
    if since is None:
        return Item(name, source, None, None, "unknown")
    due = since + timedelta(days=custody.age_limit(name) / DAY)
    return Item(name, source, since, due, "due" if due <= today else "fresh")


def refusal(name: str, compared: Comparison) -> Refused | None:
    """Why this environment takes no deploy while it has these secrets; None where they are its own."""
    if not compared.shared:
        return None
    pairs = [ours if ours == theirs else f"{ours} ({theirs} there)" for ours, theirs in compared.shared]
    return Refused(
        f"{name} has secrets of {compared.other}: {', '.join(pairs)}",
        f"give {name} values of its own, or name what may be shared in custody.common",
    )
