"""The database's server as pgBackRest saves it: set up, backed up, and brought back beside itself at any moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from fabfile.commands import cluster as clusters
from fabfile.commands import pgbackrest, server_copy
from fabfile.commands.server_copy import Restored
from fabfile.config.backup import BackupSettings
from fabfile.config.database import DatabaseSettings
from fabfile.config.schema import Environment
from fabfile.config.sources import RepositorySecrets, Sources
from fabfile.database.port import Database
from fabfile.database.postgres import Postgres
from fabfile.errors import BadInput, DatabaseError, Refused, RemoteError, TurnoutError
from fabfile.model.cluster import Base, Beside, Cluster, Place
from fabfile.model.recovery_point import PhysicalBackup, utc
from fabfile.model.script import Script
from fabfile.planning.archiving import FileChange, Preparation, prepare, refuse_unfit
from fabfile.planning.point_in_time import archiving_problem, base_for, next_kind
from fabfile.remote.port import Host
from fabfile.rendering import render_pgbackrest, repository_secrets

HTTPS = 443
LOOPBACK = "127.0.0.1"
HTTPS_HINT = "name the service's https:// URL; with a certificate of your own also backup.ca_file"
REPLAY_LIMIT = 4 * 3600.0
"""Seconds that a copy may take to replay its WAL."""

T = TypeVar("T")


@dataclass(frozen=True)
class Copy:
    """A copy of the server in a directory of its own: where it came from, and what came of it."""

    directory: str
    base: Base
    restored: Restored


class PgBackRest:
    """A `Physical`: one environment's server on the host `database.via`; `sources` reads its secrets."""

    def __init__(self, environment: Environment, name: str, sources: Callable[[], Sources], host: Host) -> None:
        assert environment.database
        assert environment.backup
        self.stanza = environment.app
        self._database: DatabaseSettings = environment.database
        self._backup: BackupSettings = environment.backup
        self._sources, self._host = sources, host
        self._repository = f"{self._backup.prefix}/_pgbackrest/{environment.app}/{name}"

    def look(self) -> Cluster:
        """The server now. Raises RemoteError where it does not answer, is a standby, or we may not act as postgres."""
        return self._read(clusters.look(self._database.port), clusters.parse)

    def place(self) -> Place:
        """Where the server is, whether it runs or not. Raises RemoteError where there is none with that port."""
        port = self._database.port
        return self._read(clusters.locate(port), lambda text: clusters.parse_place(text, port))

    def require_rights(self, place: Place) -> None:
        """Raise RemoteError, with what sudoers lacks, unless this server may be started and stopped by us."""
        self._host.run(clusters.may_serve(place))

    def bases(self, cluster: Cluster) -> tuple[Base, ...]:
        """The physical backups in the repository, oldest first."""
        return self._read(pgbackrest.info(cluster, self.stanza), pgbackrest.parse_info)

    def preparation(
        self, cluster: Cluster, secrets: RepositorySecrets, ca: bytes | None, templates: Path
    ) -> Preparation:
        """What `set_up` would change; raises Refused where it cannot be done."""
        refuse_unfit(cluster)
        self.require_rights(self.place())
        wanted = self._files(cluster, ca, templates)
        secret_path, secret = self._secret(cluster, secrets)
        script = pgbackrest.stand(tuple(wanted), secret_path, secret)
        found = self._read(script, pgbackrest.parse_stand)
        changes = tuple(
            FileChange(path, before, after) for (path, after), before in zip(wanted.items(), found.files, strict=True)
        )
        command = pgbackrest.archive_command(cluster, self.stanza)
        timeout = self._database.archive_timeout
        return prepare(cluster, changes, secret_path, found.secret, command, timeout)

    def set_up(self, cluster: Cluster, preparation: Preparation, secrets: RepositorySecrets) -> None:
        """Write the files, prepare the repository, and have PostgreSQL archive into it from its next start on.

        Every part can be done twice; the repository is ready before anything is archived into it.
        """
        path, secret = self._secret(cluster, secrets)
        self._host.run(pgbackrest.install(path, secret))
        for change in preparation.files:
            script = pgbackrest.remove(change.path)
            self._host.run(pgbackrest.install(change.path, change.after) if change.after is not None else script)
        self._host.run(pgbackrest.create(cluster, self.stanza))
        command = pgbackrest.archive_command(cluster, self.stanza)
        self._host.run(clusters.set_archiving(cluster.port, command, self._database.archive_timeout))

    def restart(self, cluster: Cluster) -> float:
        """Restart the server; the seconds in which it did not answer."""
        assert cluster.place
        return self._read(clusters.restart(cluster.place), clusters.seconds_away)

    def problem(self, cluster: Cluster) -> str | None:
        """See `planning.point_in_time.archiving_problem`."""
        return archiving_problem(cluster.archiver, self._database.archive_timeout)

    def trouble(self) -> str | None:
        """As `problem` by looking at the server, or why that cannot be looked at."""
        try:
            return self.problem(self.look())
        except TurnoutError as error:
            return f"whether WAL is archived cannot be told: {error.fact}"

    def check(self, cluster: Cluster) -> None:
        """Have everything committed until now archived. Raises RemoteError unless it is, within a minute."""
        self._host.run(pgbackrest.check(cluster, self.stanza))

    def backup(self, number: int) -> PhysicalBackup:
        """See `Physical.backup`."""
        cluster = self.look()
        if cluster.archiver.mode == "off":
            raise Refused(f"{self._host.name}: {self.problem(cluster)}", "set it up: inv backup.pitr-setup")
        kind = next_kind(self.bases(cluster), cluster.now, self._database.full_every)
        self._host.run(pgbackrest.backup(cluster, self.stanza, kind, number))
        taken = [base for base in self.bases(cluster) if base.number == number]
        if not taken or not taken[-1].sound:
            wrong = "has pages with wrong checksums" if taken else "is not in its repository"
            raise DatabaseError(
                f"{self._host.name}: pgBackRest's backup for number {number} {wrong}",
                "see on that host: pgbackrest info, and /var/log/pgbackrest",
            )
        base = taken[-1]
        return PhysicalBackup(
            stanza=self.stanza,
            label=base.label,
            manifest=f"{self._repository}/backup/{self.stanza}/{base.label}/backup.manifest",
            size_bytes=base.stored,
            start_lsn=base.start_lsn,
            stop_lsn=base.stop_lsn,
            started_at=utc(base.started_at),
            stopped_at=utc(base.stopped_at),
        )

    def base_for(self, cluster: Cluster, at: datetime) -> Base:
        """See `planning.point_in_time.base_for`."""
        return base_for(self.bases(cluster), at, cluster)

    def base_of(self, cluster: Cluster, backup: PhysicalBackup) -> Base:
        """The backup of that label. Raises DatabaseError when pgBackRest has it no more."""
        found = next((base for base in self.bases(cluster) if base.label == backup.label), None)
        if found is None:
            raise DatabaseError(f"pgBackRest has no backup {backup.label} any more", "choose another: inv backup.list")
        return found

    def copy(self, cluster: Cluster, directory: str, base: Base, at: datetime | None) -> Copy:
        """Restore `base` into `directory` beside the server, replay it up to `at` (None: to the backup's own end) and
        leave it running at a port of its own. Raises RemoteError; `drop` removes what there is of it."""
        if at is not None:
            self.check(cluster)  # a later commit in the archive is what tells the copy that it has got there
        self._host.run(pgbackrest.restore(cluster, self.stanza, directory, base, at))
        script = server_copy.start_beside(cluster, directory, self._database.name, REPLAY_LIMIT)
        return Copy(directory, base, self._read(script, server_copy.parse_restored))

    @contextmanager
    def copied(self, backup: PhysicalBackup, run: str) -> Iterator[Database]:
        """See `Physical.copied`; who tries one holds its name in the live server, and drops what killed runs left."""
        cluster, place = self.look(), self.place()
        live, directory = self.asked(cluster.port), place.beside("verify", run)
        for left in self.beside(place):
            if left.purpose == "verify":
                forgotten = place.beside("verify", left.run)
                with live.held(forgotten) as ours:
                    if ours:
                        self.drop(place, forgotten)
        with live.held(directory):
            try:
                copy = self.copy(cluster, directory, self.base_of(cluster, backup), None)
                yield self.asked(copy.restored.port)
            finally:
                self.drop(place, directory)

    def asked(self, port: int) -> Database:
        """The application's database on the server, or the copy of it, at this port of its host."""
        password = self._sources().database_password
        assert password, "where there is a database section there is a password"
        return Postgres(self._database.model_copy(update={"host": LOOPBACK, "port": port}), password, self._host)

    def beside(self, place: Place) -> tuple[Beside, ...]:
        """The copies and former servers beside this one, oldest first."""
        return self._read(server_copy.list_beside(place), server_copy.parse_beside)

    def drop_kept(self, place: Place, run: str) -> None:
        """Remove the former server that the exchange of a run kept, or what is left of it."""
        self._host.run(server_copy.drop_kept(place, run))

    def drop(self, place: Place, directory: str) -> None:
        """Stop and remove a copy, wherever it was interrupted; an absent one is fine."""
        self._host.run(server_copy.drop_beside(place, directory))

    def exchange(self, place: Place, copy: str, kept: str) -> float:
        """Let the copy take the server's place and keep the former directory; the seconds without a server."""
        return self._read(server_copy.exchange(place, copy, kept), clusters.seconds_away)

    def exchange_back(self, place: Place, copy: str, kept: str) -> None:
        """Take `exchange` back, wherever it was interrupted."""
        self._host.run(server_copy.exchange_back(place, copy, kept))

    def _files(self, cluster: Cluster, ca: bytes | None, templates: Path) -> dict[str, bytes | None]:
        folder = pgbackrest.folder(cluster)
        ca_path = f"{folder}/ca.crt"
        own_endpoint = self._sources().backup_endpoint
        endpoint = urlsplit(own_endpoint or f"https://s3.{self._backup.region}.amazonaws.com")
        if endpoint.scheme != "https":
            raise BadInput(f"backup.endpoint: {own_endpoint} is not https, and pgBackRest takes no other", HTTPS_HINT)
        own = bool(own_endpoint) or "." in self._backup.bucket
        assert self._database.repository
        values: dict[str, str | int] = {
            "path": f"/{self._repository}",
            "bucket": self._backup.bucket,
            "region": self._backup.region,
            "endpoint": endpoint.hostname or "",
            "port": endpoint.port or HTTPS,
            "uri_style": "path" if own else "host",
            "ca_file": ca_path if ca else "",
            "keep_full": self._database.repository.keep_full,
            "stanza": self.stanza,
            "data_directory": cluster.data_directory,
            "server_port": cluster.port,
        }
        return {ca_path: ca, f"{folder}/pgbackrest.conf": render_pgbackrest(values, templates)}

    def _secret(self, cluster: Cluster, secrets: RepositorySecrets) -> tuple[str, bytes]:
        text = repository_secrets(secrets.access_key, secrets.secret_key, secrets.passphrase)
        return f"{pgbackrest.folder(cluster)}/conf.d/repository.conf", text

    def _read(self, script: Script, parse: Callable[[str], T]) -> T:
        try:
            return parse(self._host.run(script).stdout)
        except (ValueError, KeyError, TypeError) as error:
            raise RemoteError(
                self._host.name, f"the answer could not be understood: {error}", "see what the host says of itself"
            ) from error
