"""What a host can do for us, however it is reached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from fabfile.model.script import Result, Script


class Host(Protocol):
    """One machine. Every call is bounded in time, and nothing that it started outlives a time-out or an interrupt."""

    @property
    def name(self) -> str:
        """The name in the environment file."""
        ...

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        """Run to the end; `stdin` replaces the script's own.

        Raises RemoteError (status, last lines of output), RemoteTimeout, Unreachable or Interrupted.
        """
        ...

    def stream(self, script: Script, stdin: Iterable[bytes] | None = None) -> Iterator[bytes]:
        """As `run`, but yield standard output as it comes.

        After the last chunk raise RemoteError unless the script ended with 0.
        """
        ...

    def forward(self, address: str, port: int) -> AbstractContextManager[int]:
        """A loopback port here that leads to `address:port` as the host sees it."""
        ...

    def interrupt(self) -> None:
        """End what is running here, now; running calls raise Interrupted."""
        ...

    def resume(self) -> None:
        """Take calls again after `interrupt`."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
