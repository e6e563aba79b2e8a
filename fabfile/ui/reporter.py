"""One place for all output: people's text on standard error, answers and JSON on standard output, secrets nowhere."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from fabfile.engine.events import (
    Counted,
    Event,
    Judged,
    Note,
    StepDone,
    StepFailed,
    StepStarted,
    StepUndone,
    UndoStarted,
)
from fabfile.errors import TurnoutError
from fabfile.model.hidden import SHORTEST, Hidden

DEAF = (OSError, ValueError, RuntimeError)
"""What a closed terminal, a broken pipe or a full disk raise; that nobody listens must never stop an undo."""


class Reporter:
    """Shows events as they come; with `as_json` also as one JSON object per line on standard output."""

    def __init__(self, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out, self._err = out or sys.stdout, err or sys.stderr
        self._hidden = Hidden()
        self._begun = time.monotonic()
        self._status: Any = None
        self.exit_code = 0

    def hide(self, secrets: Iterable[str]) -> None:
        """Never let these values through, whoever prints them and however they are spelled; see `Hidden`."""
        self._hidden.add(text for text in secrets if len(text) >= SHORTEST)

    def emit(self, event: Event) -> None:
        """Show one event."""
        if self.as_json:
            self._write_json(event.to_json())
        match event:
            case StepStarted():
                hosts = " ".join(event.hosts)
                self._say_while(f"{event.step:9} {event.title}" + (f"  [{hosts}]" if hosts else ""))
            case StepDone():
                self.say(f"{event.step:9} done in {event.seconds:.1f} s")
            case StepFailed():
                self.say(f"{event.step:9} FAILED after {event.seconds:.1f} s: {event.fact}")
            case UndoStarted():
                self._say_while("undoing, last step first")
            case StepUndone():
                self.say(f"{event.step:9} " + (f"NOT undone: {event.error}" if event.error else "undone"))
            case Judged():
                self.say(f"{event.step:9} {event.verdict['outcome']}: {event.verdict['sentence']}")
            case Counted():
                rows, tables = sum(event.tables.values()), len(event.tables)
                self.say(f"          counted: {rows} rows in {tables} tables, each as in the backup")
            case Note():
                self.say(f"          {event.text}")

    def say(self, line: str) -> None:
        """A line for people, with the seconds since the task began."""
        self._quiet()
        self._write(self._err, f"{time.monotonic() - self._begun:6.1f} s  {line}")

    def answer(self, text: str, document: object) -> None:
        """What the task was asked for: text for people, or with --json the document."""
        self._quiet()
        if self.as_json:
            self._write_json(document)
        else:
            self._write(self._out, text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], document: object, empty: str) -> None:
        """An answer in columns; `empty` is said when there is no row."""
        cells = [list(columns), *[[str(cell) for cell in row] for row in rows]]
        widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        self.answer("\n".join(lines) if rows else empty, document)

    def fail(self, error: TurnoutError) -> None:
        """The last word of a task that failed."""
        self._quiet()
        if self.as_json:
            failed: Mapping[str, object] = {
                "event": "failed",
                "code": error.code,
                "error": error.fact,
                "details": error.details,
                "hint": error.hint,
            }
            self._write_json(failed)
        self._write(self._err, f"error: {error}")

    def leave(self, code: int) -> None:
        """End the task with this exit code though nothing failed."""
        self.exit_code = code

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._quiet()

    def _say_while(self, line: str) -> None:
        """A line that stays in motion on a terminal until the next one; elsewhere just a line."""
        if not self._err.isatty():
            self.say(line)
            return
        import rich.console
        import rich.status

        self._quiet()
        console = rich.console.Console(file=self._err, highlight=False)
        self._status = rich.status.Status(self.clean(line).replace("[", r"\["), console=console)
        with contextlib.suppress(*DEAF):
            self._status.start()

    def _quiet(self) -> None:
        if self._status is not None:
            with contextlib.suppress(*DEAF):
                self._status.stop()
            self._status = None

    def clean(self, text: str) -> str:
        """The text without what is hidden."""
        return self._hidden.clean(text)

    def _write_json(self, document: object) -> None:
        """Cleaned value by value: a secret may look different, or break the document, once it is JSON."""
        plain = json.loads(json.dumps(document, default=str))
        self._write(self._out, json.dumps(self._cleaned(plain)), clean=False)

    def _cleaned(self, value: object) -> object:
        match value:
            case str():
                return self.clean(value)
            case list():
                return [self._cleaned(item) for item in value]
            case dict():
                return {self.clean(key): self._cleaned(item) for key, item in value.items()}
        return value

    def _write(self, stream: TextIO, text: str, clean: bool = True) -> None:
        with contextlib.suppress(*DEAF):
            print(self.clean(text) if clean else text, file=stream, flush=True)
