"""What people sign: that they are about to deploy a release to an environment, or that somebody else may."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Literal, get_args

Kind = Literal["request", "approval"]


@dataclass(frozen=True)
class Statement:
    """What exactly is signed. `digest` is the archive's SHA-256; `at` and `until` are ISO 8601 UTC."""

    kind: Kind
    app: str
    environment: str
    release: str
    digest: str
    at: str
    until: str

    @property
    def namespace(self) -> str:
        """Where the signature counts: the same key signs other things, too, and a request is no approval."""
        return f"turnout-{self.kind}"

    def to_text(self) -> str:
        """The bytes that are signed, as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_text(text: str) -> Statement:
        """What was signed. Raises ValueError for anything that `to_text` does not write."""
        found = json.loads(text)
        names = {field.name for field in fields(Statement)}
        if (
            not isinstance(found, dict)
            or set(found) != names
            or not all(isinstance(found[name], str) for name in names)
        ):
            raise ValueError("not a statement")
        if found["kind"] not in get_args(Kind) or not re.fullmatch("[0-9a-f]{64}", found["digest"]):
            raise ValueError("not a statement")
        if not all(datetime.fromisoformat(found[name]).tzinfo for name in ("at", "until")):
            raise ValueError("not a statement")
        return Statement(**found)


@dataclass(frozen=True)
class Signer:
    """A name in the file of signers, and the fingerprint of the key that signed."""

    name: str
    key: str


@dataclass(frozen=True)
class Signed:
    """A statement whose signature was found good, and whose it is."""

    statement: Statement
    signer: Signer
