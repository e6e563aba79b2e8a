"""A host that can only be looked at: what `plan` and `status` work with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

from fabfile.errors import TurnoutError
from fabfile.model.script import Result, Script
from fabfile.remote.port import Host


class ReadOnlyHost:
    """Passes on what changes nothing and refuses the rest."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._host = host

    def run(self, script: Script, stdin: Iterable[bytes] | None = None) -> Result:
        self._check(script)
        return self._host.run(script, stdin)

    def stream(self, script: Script, stdin: Iterable[bytes] | None = None) -> Iterator[bytes]:
        self._check(script)
        return self._host.stream(script, stdin)

    def forward(self, address: str, port: int) -> AbstractContextManager[int]:
        return self._host.forward(address, port)

    def interrupt(self) -> None:
        self._host.interrupt()

    def resume(self) -> None:
        self._host.resume()

    def close(self) -> None:
        self._host.close()

    def _check(self, script: Script) -> None:
        if script.mutates:
            raise TurnoutError(f"{self.name}: a task that only looks tried to change something")
