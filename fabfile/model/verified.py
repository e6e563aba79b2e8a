"""That an environment verified a release: a deploy brought it there and ended well, its tests, gates and watch over."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import datetime


@dataclass(frozen=True)
class Verified:
    """One archive in one environment. `digest` is the archive's SHA-256, `at` ISO 8601 UTC, `by` who deployed it and
    `run` the deploy's id; `promoted_from` is the environment that had verified it before, if it came that way."""

    app: str
    environment: str
    release: str
    digest: str
    by: str
    at: str
    run: str
    promoted_from: str = ""

    def to_json(self) -> bytes:
        """One JSON document."""
        return json.dumps(asdict(self), indent=1).encode() + b"\n"

    @staticmethod
    def from_json(text: bytes) -> Verified:
        """What `to_json` wrote. Raises ValueError for anything else."""
        found = json.loads(text)
        names = {field.name for field in fields(Verified)}
        if not isinstance(found, dict) or set(found) != names:
            raise ValueError("not a record of a verified release")
        if not all(isinstance(value, str) for value in found.values()):
            raise ValueError("not a record of a verified release")
        if not re.fullmatch("[0-9a-f]{64}", found["digest"]) or not datetime.fromisoformat(found["at"]).tzinfo:
            raise ValueError("not a record of a verified release")
        return Verified(**found)
