"""What a database server can do for us, whatever it is reached through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from fabfile.model.database_server import ServerFacts
from fabfile.model.migration import Applied, Migration
from fabfile.model.recovery_point import DatabaseFacts, PhysicalBackup
from fabfile.planning.smoke import Rows

CUSTOM = "database.pgdump.zst"
DIRECTORY = "database.pgdir.tar.zst"
"""What a dump is called in the store: zstd around pg_dump's custom format, or around a tar of its directory format."""


@dataclass(frozen=True)
class Dump:
    """A compressed dump on its way, the facts of exactly the snapshot that it holds, and what it is called.

    `chunks` may be read once; it raises when the dump is not whole, and only its end says that it is.
    """

    facts: DatabaseFacts
    chunks: Iterator[bytes] = field(repr=False)
    file: str = CUSTOM


class Database(Protocol):
    """One server with the application's database on it.

    Any method raises DatabaseError when the server refuses or does not answer, and RemoteError, Unreachable or
    Interrupted when the host between us fails.
    """

    @property
    def live(self) -> str:
        """The name of the database that the application uses."""
        ...

    def server(self) -> ServerFacts:
        """What there is for a restore to build on."""
        ...

    def describe(self, name: str) -> DatabaseFacts:
        """Facts about a database, its rows counted in one snapshot (a full scan of every table)."""
        ...

    def exists(self, name: str) -> bool:
        """Whether there is such a database."""
        ...

    def names_like(self, prefix: str) -> tuple[str, ...]:
        """The databases whose names begin with `prefix`, sorted."""
        ...

    def size(self, name: str) -> int:
        """Bytes on disk of a database, also of one that is closed to connections."""
        ...

    def free_bytes(self) -> int | None:
        """Bytes free where the live database lies, or would; None where that cannot be known from here."""
        ...

    def create(self, name: str, owner: str, encoding: str) -> None:
        """Make an empty database with the server's own locale; one that is there already is left as it is."""
        ...

    def create_beside(self, new: str, like: str) -> None:
        """Make an empty database with owner, encoding, locale and tablespace of `like`; refuses where one exists."""
        ...

    def carry_over(self, old: str, new: str) -> None:
        """Give `new` the connection limit, settings, grants and comment of `old`. Twice is the same as once."""
        ...

    def swap(self, live: str, new: str, kept: str) -> None:
        """Rename `live` to `kept` and `new` to `live` in one transaction; ends every session on both.

        `kept` is left closed to connections. When it was done before, it only makes sure that `live` is open; when it
        fails, both names are what they were and open.
        """
        ...

    def open(self, name: str) -> None:
        """Let sessions in again, as after a swap that was killed; an absent or open one is fine."""
        ...

    def drop(self, name: str) -> None:
        """Drop a database and end its sessions; an absent one is fine, the live one is refused."""
        ...

    def held(self, name: str) -> AbstractContextManager[bool]:
        """Hold a database's name for as long as the block lasts, whether there is such a database or not; False when
        somebody else holds it. Whoever dies lets go."""
        ...

    def objection(self, name: str, query: str, seconds: float, rows: Rows | None = None) -> str:
        """Why `query`, which can only read, does not give these rows, or (None) one whose first column is true; "" when
        it does."""
        ...

    def dump(self, name: str) -> AbstractContextManager[Dump]:
        """A dump of one snapshot in either format; leaving the context ends it wherever it is."""
        ...

    def load(self, name: str, chunks: Iterable[bytes]) -> None:
        """Restore such a dump into an empty database; it is of no use when this raises."""
        ...


class Ledger(Protocol):
    """The migrations that the application's database has had, and the way to the next. Raises as `Database` does."""

    def applied(self) -> tuple[Applied, ...]:
        """All of them in the order of their numbers; changes nothing."""
        ...

    def apply(self, wanted: Sequence[Migration], release: str, run: str, tell: Callable[[str], None]) -> None:
        """Apply those that are not yet, in this order, and tell of each; at the first that fails the ones before stay.

        Waits a little for another migration or a dump to end. One that was cut off is whole or not there, but for files
        outside transactions, which are run again.
        """
        ...

    def take_back(self, row: Applied, tell: Callable[[str], None]) -> None:
        """Run what takes an applied one back, and forget it; one that is gone already is fine."""
        ...


class Physical(Protocol):
    """A server that is backed up as a whole, with every change, into a repository of its own."""

    def backup(self, number: int) -> PhysicalBackup:
        """Take a physical backup that carries this number. Raises Refused where nothing is set up for one, RemoteError,
        DatabaseError, Unreachable or Interrupted; then what was begun is no backup, and is removed by the next."""
        ...

    def copied(self, backup: PhysicalBackup, run: str) -> AbstractContextManager[Database]:
        """The application's database in a copy of the server as of a backup, which runs beside the live one for as long
        as the block lasts. Raises as `backup` does."""
        ...
