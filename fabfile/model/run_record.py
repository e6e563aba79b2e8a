"""What a host remembers of a run until it has ended, so that any machine can finish or undo it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from fabfile.model.observed import Observed
from fabfile.model.plan import Plan


@dataclass(frozen=True)
class RunRecord:
    """One host's part of a run: its plan, all hosts that take part, and the host as it was before.

    `began` is ISO 8601 UTC; `configuration` the digest that the release is started with.
    """

    run: str
    holder: str
    began: str
    configuration: str
    hosts: tuple[str, ...]
    plan: Plan
    before: Observed

    @property
    def keeps(self) -> frozenset[str]:
        """The runs whose former databases and files this one needs: its own, and those of the one that it undoes."""
        restore = self.plan.restore
        return frozenset(filter(None, (self.run, restore.undoes if restore else "")))

    def to_json(self) -> bytes:
        """One JSON document; it holds no secret."""
        return _adapter().dump_json(self)


@cache
def _adapter() -> TypeAdapter[RunRecord]:
    return TypeAdapter(RunRecord)


def parse(text: str) -> RunRecord | None:
    """The record in `text`, or None where there is none that this version can read."""
    try:
        return _adapter().validate_json(text)
    except ValueError:
        return None


Progress = Mapping[str, str]
"""The last event of each step of a run in a host's journal: start, done, failed, undo, undone, reverted, held."""
