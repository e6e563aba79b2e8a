"""What happens during a run, as values that a terminal, a log or a program can show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Event:
    """Something happened."""

    @property
    def kind(self) -> str:
        """The event's name in JSON, such as `step-started`."""
        name = type(self).__name__
        return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))

    def to_json(self) -> dict[str, object]:
        """One JSON object per event."""
        return {"event": self.kind, **asdict(self)}


@dataclass(frozen=True)
class StepStarted(Event):
    """A step begins on these hosts."""

    step: str
    title: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class StepDone(Event):
    """A step ended well after this many seconds."""

    step: str
    seconds: float


@dataclass(frozen=True)
class StepFailed(Event):
    """A step failed; the fact names host and cause."""

    step: str
    fact: str
    seconds: float


@dataclass(frozen=True)
class UndoStarted(Event):
    """What was done is being undone, last step first."""

    reason: str


@dataclass(frozen=True)
class StepUndone(Event):
    """A step was undone, or could not be (`error` is then not empty)."""

    step: str
    error: str = ""


@dataclass(frozen=True)
class Judged(Event):
    """A gate's verdict, with the counts of both slots."""

    step: str
    verdict: Mapping[str, object]


@dataclass(frozen=True)
class Counted(Event):
    """Rows of every `schema.table` of a database that was just restored, and has what its backup has."""

    tables: Mapping[str, int]


@dataclass(frozen=True)
class Note(Event):
    """Something worth a line that is neither a step nor a failure."""

    text: str


Emit = Callable[[Event], None]
