"""What checks know of a host beside what every look at it finds: rights, memory, versions, what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ConfigurationTest:
    """What `nginx -t` said, and the status that it ended with; a refusal by sudo is its own `status` 1, too."""

    status: int
    said: str


@dataclass(frozen=True)
class Certificate:
    """What nginx shows to whoever asks for the site: when it is valid, and the names that it is for."""

    since: datetime
    until: datetime
    names: tuple[str, ...]


@dataclass(frozen=True)
class Tls:
    """The first TLS listener of the site: `certificate` is None where none was shown. `path` is the certificate's file,
    and `stored_until` when that one ends, if it may be read."""

    place: str
    certificate: Certificate | None
    path: str
    stored_until: datetime | None
    protocols: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the site answers to `GET path`: status 0 for no answer; names of headers are in lower case."""

    path: str
    status: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class HostFacts:
    """One host. Memory and sizes are bytes; versions are as the programs tell them, and empty where there is none.

    `offset` is between which two numbers of seconds the host's clock is ahead of ours. `rights` is the list that sudo
    gives of what may be done, `refused` what we need of it and may not. `resident` is the memory of the largest process
    that runs from our slots. What only a closer look tells (`deep`) stays at its default without one: `enabled` are
    units that start at boot, `reboot` a line of cron that starts PM2, `saved` the processes that PM2 brings back.
    """

    host: str
    user: str
    offset: tuple[float, float]
    memory_available: int
    swap_free: int
    resident: int
    node_version: str
    pm2_version: str
    rights: str = ""
    refused: tuple[str, ...] = ()
    nginx_running: bool = False
    nginx_test: ConfigurationTest | None = None
    enabled: frozenset[str] = frozenset()
    reboot: bool = False
    saved: frozenset[str] = frozenset()
    slot_bytes: int = 0
    archive_bytes: int = 0
    archives: int = 0
    largest_log: tuple[str, int] | None = None
    pg_dump_version: str = ""
    tls: Tls | None = None
    answers: tuple[Answer, ...] = ()
