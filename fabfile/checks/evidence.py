"""What checks judge: everything that was seen of an environment, and of the rest why it was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeVar

from fabfile.config.required import Unreadable
from fabfile.config.schema import Environment
from fabfile.config.separation import Comparison
from fabfile.model.database_server import Doorway
from fabfile.model.finding import Finding, Remedy, unseen
from fabfile.model.host_facts import HostFacts
from fabfile.model.observed import HistoryEntry, Observed
from fabfile.model.recovery_point import RecoveryPoint
from fabfile.planning.bucket import Finding as BucketFinding
from fabfile.planning.custody import Item

T = TypeVar("T")


@dataclass(frozen=True)
class Unseen:
    """Why something was not seen. It `failed` where it does not work, and is `elsewhere` where another check names the
    cause; what was cut off by its time-out is `unknown`."""

    why: str
    kind: Literal["failed", "elsewhere", "unknown"] = "unknown"
    remedy: Remedy | None = None


NOT_ASKED = Unseen("nobody looked")


@dataclass(frozen=True)
class Sending:
    """What a run is about to do to each host: `bytes` and `files` that it writes, whether gates will read nginx's log
    (`judged`), and the hosts on which nginx gets another site."""

    bytes: int
    files: int
    judged: bool = False
    sites: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Schedule:
    """What starts jobs on this machine: by which scheduler, whether ours are installed, where they differ from what
    `inv backup.schedule` would install now, and what keeps them from being started (`warnings`)."""

    scheduler: str
    installed: bool
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """An environment by its `name`, `now`, and what was seen. `run` is what is about to happen, None for no run.

    `hosts` and `observed` hold those that were asked. `custody` is the age of each secret, and how they compare with
    those of the environment that they must differ from. `pending` are the migrations (version and checksum) that the
    live releases hold and the database has not had; `archiving` is what is wrong with pgBackRest's, None for nothing;
    `in_clear` says that the store is spoken to without TLS; `copy` is the bucket that backups are copied to, likewise.
    """

    name: str
    environment: Environment
    now: datetime
    hosts: Mapping[str, HostFacts | Unseen] = field(default_factory=dict)
    observed: Mapping[str, Observed | Unseen] = field(default_factory=dict)
    run: Sending | None = None
    unreadable: tuple[Unreadable, ...] | Unseen = ()
    custody: tuple[tuple[Item, ...], Comparison | None] | Unseen = NOT_ASKED
    database: Doorway | Unseen = NOT_ASKED
    bucket: tuple[BucketFinding, ...] | Unseen = NOT_ASKED
    in_clear: bool = False
    copy: tuple[BucketFinding, ...] | Unseen = NOT_ASKED
    copy_in_clear: bool = False
    points: tuple[RecoveryPoint, ...] | Unseen = NOT_ASKED
    schedule: Schedule | Unseen = NOT_ASKED
    archiving: str | Unseen | None = NOT_ASKED
    pending: frozenset[tuple[int, str]] | Unseen = NOT_ASKED

    @property
    def public(self) -> bool:
        """The site is there for users: it has a name of its own, or the environment is a protected one."""
        return self.environment.protected or self.environment.site.server_name.strip() != "_"

    @property
    def seen(self) -> dict[str, Observed]:
        """The hosts that were looked at."""
        return {name: found for name, found in self.observed.items() if isinstance(found, Observed)}

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Every run that any host remembers, oldest first."""
        return tuple(sorted((entry for seen in self.seen.values() for entry in seen.history), key=lambda one: one.at))

    @property
    def age(self) -> float:
        """Seconds since the first run that hosts remember (at least so old is the environment); 0 where none does."""
        if not self.history:
            return 0.0
        return max(0.0, (self.now - datetime.fromisoformat(self.history[0].at)).total_seconds())


def look_at(
    found: Mapping[str, T | Unseen], names: Iterable[str], judge: Callable[[T], Iterable[Finding]]
) -> Iterator[Finding]:
    """What `judge` says of each of these hosts, as far as they were asked; of one that was not seen, that."""
    for name in names:
        one = found.get(name, NOT_ASKED)
        if not isinstance(one, Unseen):
            yield from judge(one)
        elif name in found:
            yield unseen(name, one.why)
