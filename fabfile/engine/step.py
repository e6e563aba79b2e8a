"""A step: what it does, on which hosts, and how it is undone. Doing or undoing twice is the same as once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fabfile.commands.lease import LOST
from fabfile.commands.traffic import GO, READY, SWITCHED
from fabfile.engine.events import Note
from fabfile.engine.run import Run
from fabfile.errors import FleetError, RemoteError
from fabfile.model.script import Result, Script


class Step(Protocol):
    """Something that a run does and can take back."""

    @property
    def name(self) -> str:
        """One word, as the journal and the plan show it."""
        ...

    @property
    def title(self) -> str:
        """A line for people."""
        ...

    @property
    def hosts(self) -> tuple[str, ...]:
        """Where it happens."""
        ...

    def preview(self, host: str) -> str:
        """The commands that would run on that host, for a plan."""
        ...

    def do(self, run: Run) -> None:
        """Carry it out. Raises TurnoutError once every host has finished."""
        ...

    def undo(self, run: Run) -> None:
        """Take it back, wherever it was interrupted."""
        ...


@dataclass(frozen=True)
class HostStep:
    """One script per host, all hosts at the same time; `undoing` holds the scripts that take it back."""

    name: str
    title: str
    doing: Mapping[str, Script]
    undoing: Mapping[str, Script] = field(default_factory=dict)
    report: Callable[[Mapping[str, Result]], Sequence[str]] = lambda results: ()

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.doing)

    def preview(self, host: str) -> str:
        script = self.doing[host]
        size = len(script.stdin) if isinstance(script.stdin, bytes) else script.stdin.stat().st_size
        return script.text + (f"# {size} bytes on standard input\n" if size else "")

    def do(self, run: Run) -> None:
        for line in self.report(run.on_hosts(self.name, self.doing)):
            run.emit(Note(line))

    def undo(self, run: Run) -> None:
        if self.undoing:
            run.undo(self.name, self.undoing)


@dataclass(frozen=True)
class OperatorStep:
    """Work that is driven from here, such as a backup; it is journalled on `hosts` and checks their tokens first."""

    name: str
    title: str
    hosts: tuple[str, ...]
    work: Callable[[Run], None]
    take_back: Callable[[Run], None] | None = None
    shown: str = ""
    """What a plan shows of the work, beside its title."""

    def preview(self, host: str) -> str:
        return f"# {self.title}\n{self.shown}"

    def do(self, run: Run) -> None:
        self._mark(run, "start", "going")
        self.work(run)
        self._mark(run, "going", "done")

    def undo(self, run: Run) -> None:
        unmarked: FleetError | None = None
        nothing = Script(":\n", timeout=15, mutates=True)
        try:
            run.undo(self.name, dict.fromkeys(self.hosts, nothing))
        except FleetError as error:
            lost = [f for f in error.failures if isinstance(f, RemoteError) and f.status == LOST]
            if lost or len(error.failures) == len(self.hosts):
                raise
            unmarked = error  # a host that cannot be reached must not keep the others from being put right
        if self.take_back:
            self.take_back(run)
        if unmarked:
            raise unmarked

    def _mark(self, run: Run, begin: str, end: str) -> None:
        nothing = Script(":\n", timeout=15, mutates=True)
        run.on_hosts(self.name, dict.fromkeys(self.hosts, nothing), (begin, end))


@dataclass(frozen=True)
class SwitchStep:
    """One script per host that says `ready`, waits for the word, and then acts at once: everywhere or nowhere."""

    name: str
    title: str
    doing: Mapping[str, Script]
    undoing: Mapping[str, Script]
    behind: tuple[str, ...] = ()
    """Hosts that these send requests to; where one keeps its traffic, the new slot has to stay there."""

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.doing)

    def preview(self, host: str) -> str:
        return self.doing[host].text

    def do(self, run: Run) -> None:
        seconds = run.together(self.name, self.doing, READY, GO, SWITCHED)
        run.emit(Note(f"switched {len(self.doing)} hosts within {seconds * 1000:.0f} ms"))

    def undo(self, run: Run) -> None:
        try:
            run.undo(self.name, self.undoing)
        except FleetError:
            run.stuck.update(self.behind)
            raise


@dataclass(frozen=True)
class NewConnectionStep:
    """One script per host, each over a connection that is opened for it; there is nothing to take back."""

    name: str
    title: str
    doing: Mapping[str, Script]

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(self.doing)

    def preview(self, host: str) -> str:
        return self.doing[host].text

    def do(self, run: Run) -> None:
        run.anew(self.name, self.doing)

    def undo(self, run: Run) -> None:
        """Nothing was changed that another step's undo does not put right."""
