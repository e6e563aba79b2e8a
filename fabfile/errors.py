"""Every failure that a user may meet: a fact, a hint, and the exit code of its class.

    TurnoutError                 1  failed, nothing left changed
    ├── BadInput                 3  configuration, arguments or an artifact are not usable
    ├── Locked                   4  somebody else holds the lease
    ├── Refused                  5  a guard said no before anything started
    ├── RolledBack               6  failed midway and undone; the hosts are as they were
    ├── HandsNeeded              7  failed and could not be undone completely
    ├── Held                     8  a canary could not be judged and waits for a decision
    ├── Unverified               9  a backup was tried and does not restore
    ├── Interrupted            130  Ctrl-C or SIGTERM, and undone
    ├── RemoteError              1  a command failed on a host
    │   ├── Unreachable          1  no connection to a host
    │   └── RemoteTimeout        1  a command did not end in time and was killed
    ├── FleetError               1  several hosts failed; every failure is inside
    ├── StorageError             1  the backup store refused or did not answer
    └── DatabaseError            1  PostgreSQL refused or did not answer

Exit code 2 is no error: `inv plan`, `inv doctor`, `inv env.diff`, `inv backup.prune`, `inv backup.drop-old`,
`inv backup.pitr-setup`, `inv backup.schedule --plan`, `inv bucket.setup`, `inv migrate --plan`, `inv migrate.status` or
`inv secrets.list`
found something to do.
"""

from __future__ import annotations

from collections.abc import Sequence


class TurnoutError(Exception):
    """A lower-case fact naming host, path and value, and a hint that says what to type next."""

    code = 1

    def __init__(self, fact: str, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        return "\n".join(
            [self.fact, *(f"  {line}" for line in self.details), *([f"HINT: {self.hint}"] if self.hint else [])]
        )


class BadInput(TurnoutError):
    """Configuration, arguments or an artifact cannot be used; nothing was touched."""

    code = 3


class Locked(TurnoutError):
    """The lease is held by another run."""

    code = 4


class Refused(TurnoutError):
    """A guard refused before anything started."""

    code = 5


class RolledBack(TurnoutError):
    """A step failed and everything done before it was undone."""

    code = 6


class HandsNeeded(TurnoutError):
    """A step failed and undoing failed too, or the hosts are not as they were."""

    code = 7


class Held(TurnoutError):
    """A canary had too little traffic to be judged and stays at its share until somebody decides."""

    code = 8


class Unverified(TurnoutError):
    """A backup was restored for a test and is not what it should be; the live system was not touched."""

    code = 9


class Interrupted(TurnoutError):
    """The operator interrupted; what had been done was undone."""

    code = 130


class RemoteError(TurnoutError):
    """A command ended with a non-zero status on a host."""

    def __init__(
        self, host: str, fact: str, hint: str = "", details: Sequence[str] = (), status: int | None = None
    ) -> None:
        super().__init__(f"{host}: {fact}", hint, details)
        self.host = host
        self.status = status


class Unreachable(RemoteError):
    """A host could not be reached or did not let us in."""


class RemoteTimeout(RemoteError):
    """A command ran past its limit; its whole process group was killed."""


class FleetError(TurnoutError):
    """One or more hosts failed after every host had finished."""

    def __init__(self, failures: Sequence[TurnoutError]) -> None:
        first = failures[0]
        if len(failures) == 1:
            super().__init__(first.fact, first.hint, first.details)
        else:
            details = [line for failure in failures for line in (failure.fact, *failure.details)]
            super().__init__(f"{first.fact} (and {len(failures) - 1} more)", first.hint, details)
        self.failures = tuple(failures)
        self.code = max(failure.code for failure in failures)


class StorageError(TurnoutError):
    """The backup store refused a request or did not answer."""


class DatabaseError(TurnoutError):
    """PostgreSQL refused a statement or did not answer."""
