"""What setting up pgBackRest would change on the database's host, file by file and setting by setting. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fabfile.errors import Refused
from fabfile.model.cluster import Cluster


@dataclass(frozen=True)
class FileChange:
    """One file before (None: absent) and after (None: not wanted); text, without a secret."""

    path: str
    before: bytes | None
    after: bytes | None

    def lines(self) -> Iterator[str]:
        """A unified diff; nothing where both are the same."""
        old, new = ((text or b"").decode(errors="replace").splitlines() for text in (self.before, self.after))
        yield from difflib.unified_diff(old, new, f"{self.path} (now)", f"{self.path} (wanted)", lineterm="", n=1)


@dataclass(frozen=True)
class Preparation:
    """Everything that a set-up does: files, the one of keys, PostgreSQL's settings, and whether it must restart."""

    files: tuple[FileChange, ...]
    keys_path: str
    keys: Literal["absent", "same", "other"]
    settings: tuple[tuple[str, str, str], ...]
    restart: bool

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        changed = any(change.before != change.after for change in self.files)
        return not (changed or self.keys != "same" or self.settings or self.restart)

    def lines(self) -> Iterator[str]:
        """What would change, for people; of the file of keys only that it does."""
        for change in self.files:
            yield from change.lines()
        if self.keys != "same":
            what = "is written" if self.keys == "absent" else "gets other keys or another passphrase"
            yield f"{self.keys_path} {what} (secrets are not shown)"
        for name, before, after in self.settings:
            yield f"PostgreSQL: {name} = {after!r} (now {before!r})"
        if self.restart:
            yield "PostgreSQL must be restarted once, for archive_mode: add --restart when users can do without it"


def prepare(
    cluster: Cluster,
    files: tuple[FileChange, ...],
    keys_path: str,
    keys: Literal["absent", "same", "other"],
    command: str,
    archive_timeout: float,
) -> Preparation:
    """What lacks for this server to be archived by `command`, every `archive_timeout` seconds at least.

    Raises Refused for a server that is no cluster of Debian's, has tablespaces, or is archived by something else.
    """
    refuse_unfit(cluster)
    present = cluster.archiver.command
    if cluster.archiver.mode != "off" and present not in ("", command):
        raise Refused(
            f"PostgreSQL {cluster.data_directory}: is archived already: archive_command = {present!r}",
            "end that first: ALTER SYSTEM RESET archive_command, and in postgresql.conf; then SELECT pg_reload_conf()",
        )
    wanted = (
        ("archive_mode", cluster.archiver.mode, "on"),
        ("archive_command", present, command),
        ("archive_timeout", f"{cluster.archive_timeout}s", f"{archive_timeout:.0f}s"),
    )
    changed = tuple(setting for setting in wanted if setting[1] != setting[2])
    return Preparation(files, keys_path, keys, changed, cluster.archiver.mode == "off")


def refuse_unfit(cluster: Cluster) -> None:
    """Raise Refused for a server that cannot be restored beside itself and take its own place."""
    if cluster.place is None:
        raise Refused(
            f"{cluster.config_file}: PostgreSQL is not configured as Debian's clusters are",
            "pgBackRest is supported for clusters made by pg_createcluster; else use database.engine: dump",
        )
    if cluster.tablespaces:
        raise Refused(
            f"PostgreSQL {cluster.data_directory}: has {cluster.tablespaces} tablespaces outside its directory",
            "move what is in them into the default one, or use database.engine: dump",
        )
