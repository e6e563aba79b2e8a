"""What an environment has besides hosts: secrets, channels, a bucket, a database, each reached when first needed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pydantic import SecretStr

from fabfile.config.approvals import signing_key
from fabfile.config.backup import BucketSettings
from fabfile.config.reader import Reader
from fabfile.config.schema import Environment
from fabfile.config.separation import Comparison, compare, password_in
from fabfile.config.sources import (
    Channel,
    Sources,
    resolve_all,
    resolve_channels,
    resolve_endpoint,
    resolve_ping,
)
from fabfile.database.port import Database, Ledger
from fabfile.errors import BadInput
from fabfile.model.approval import Statement
from fabfile.model.paths import Paths
from fabfile.planning.custody import Item, inventory
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.integrity import no_identity
from fabfile.recovery.scope import Scope
from fabfile.recovery.shelf import Shelf
from fabfile.register import Register
from fabfile.remote.fleet import Fleet
from fabfile.signing import sign
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Store
from fabfile.ui.reporter import Reporter
from fabfile.verified import VerifiedReleases

if TYPE_CHECKING:
    from fabfile.database.pgbackrest import PgBackRest
    from fabfile.database.postgres import Postgres

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Backends:
    """An environment, and what its file says how to reach."""

    name: str
    environment: Environment
    fleet: Fleet
    reporter: Reporter

    @property
    def paths(self) -> Paths:
        """Where things are on a host."""
        return Paths(self.environment.app)

    def hide(self, values: Iterable[str]) -> None:
        """Keep these out of all output from now on, with the passwords in those that are URLs."""
        plain = list(values)
        passwords = list(filter(None, map(password_in, plain)))
        self.reporter.hide([*plain, *passwords, *map(unquote, passwords)])

    @cached_property
    def reader(self) -> Reader:
        """What reads single values."""
        return Reader.of(self.environment, PROJECT, os.environ)

    @cached_property
    def sources(self) -> Sources:
        """Secrets, read when first needed and hidden from all output from then on."""
        found = resolve_all(self.environment, PROJECT, os.environ)
        values = [*found.application.values(), *([found.database_password] if found.database_password else [])]
        self.hide(value.get_secret_value() for value in values)
        return found

    def ages(self) -> tuple[Item, ...]:
        """How old each of the application's secrets is today (UTC), and when it is due to be changed."""
        settings = self.environment
        return inventory(settings.secrets, self.sources.changed, settings.custody, datetime.now(UTC).date())

    def separation(self) -> Comparison | None:
        """How the application's secrets compare with those of the environment that they must differ from."""
        if self.environment.custody.differs_from is None:
            return None
        return compare(self.name, self.environment, self.sources.application, PROJECT, os.environ)

    @cached_property
    def channels(self) -> tuple[Channel, ...]:
        """Who is told when something goes wrong; read when first needed, and hidden from all output from then on."""
        found = resolve_channels(self.environment, PROJECT, os.environ)
        self.hide(channel.url.get_secret_value() for channel in found)
        return found

    @cached_property
    def ping(self) -> SecretStr | None:
        """The dead man's switch of scheduled backups; read and hidden likewise."""
        found = resolve_ping(self.environment, PROJECT, os.environ)
        self.hide([found.get_secret_value()] if found else [])
        return found

    @cached_property
    def smoke_secrets(self) -> Mapping[str, SecretStr]:
        """What smoke tests are filled with; read and hidden likewise."""
        wanted = self.environment.smoke.secrets
        found = {name: self.reader.read(source, f"smoke.secrets.{name}").value for name, source in wanted.items()}
        self.hide(value.get_secret_value() for value in found.values())
        return found

    @cached_property
    def recovery(self) -> Scope:
        """The store, the database and the catalogue of backups. Raises BadInput where the environment has no store."""
        settings = self.environment.backup
        if settings is None:
            raise BadInput(f"hosts/{self.name}.yml has no backup section", "hosts/example.yml shows one")
        second = settings.copy_to
        return Scope(
            self.environment,
            self.paths,
            self.fleet.hosts,
            self._catalogue(settings, self.sources.backup_endpoint, settings.max_size),
            self.database,
            settings.recipients,
            self._identity,
            self._catalogue(second, self.sources.copy_endpoint, settings.max_size) if second else None,
            self.physical,
        )

    @cached_property
    def store(self) -> Store:
        """The bucket of the environment, for what needs no secret of it. Raises BadInput where there is none."""
        settings = self.environment.backup
        if settings is None:
            raise BadInput(f"hosts/{self.name}.yml has no backup section", "hosts/example.yml shows one")
        return self._store(settings, resolve_endpoint(settings, PROJECT, os.environ), settings.max_size)

    @cached_property
    def second_store(self) -> Store:
        """The bucket that backups are copied to, likewise. Raises BadInput where there is none."""
        settings = self.environment.backup
        if settings is None or settings.copy_to is None:
            raise BadInput(f"hosts/{self.name}.yml has no backup.copy section", "hosts/example.yml shows one")
        endpoint = resolve_endpoint(settings.copy_to, PROJECT, os.environ, "backup.copy")
        return self._store(settings.copy_to, endpoint, settings.max_size)

    @property
    def root(self) -> str:
        """What the keys of this environment begin with in its bucket."""
        prefix = self.environment.backup.prefix if self.environment.backup else ""
        return f"{prefix}/{self.environment.app}/{self.name}/"

    @property
    def dist(self) -> Path:
        """Where `inv build` leaves releases."""
        return PROJECT / "dist"

    @cached_property
    def shelf(self) -> Shelf:
        """The releases in the bucket of the environment. Raises BadInput where it has none."""
        store, settings = self.store, self.environment.backup
        assert settings, "a store comes from a backup section"
        return Shelf(Catalogue(store, settings.prefix, self.environment.app, self.name))

    @cached_property
    def verified(self) -> VerifiedReleases:
        """What the environment has verified: noted in its bucket, or beside the releases in dist/ where it has none."""
        app = self.environment.app
        if self.environment.backup:
            return VerifiedReleases(self.store, f"{self.root}verified/", app, self.name)
        return VerifiedReleases(DirectoryStore(self.dist), f"verified/{app}/{self.name}/", app, self.name)

    @cached_property
    def register(self) -> Register:
        """What people have signed about releases."""
        return Register(self.store, self.root, PROJECT / Path(self.environment.approvals.signers).expanduser())

    def signature(self, statement: Statement) -> str:
        """A statement signed by whoever types this. Raises BadInput when their key cannot be used."""
        key = signing_key(self.environment.approvals.key, PROJECT, os.environ)
        return sign(statement.to_text(), key, statement.namespace)

    def _catalogue(self, settings: BucketSettings, endpoint: str | None, max_size: int) -> Catalogue:
        return Catalogue(self._store(settings, endpoint, max_size), settings.prefix, self.environment.app, self.name)

    def _store(self, settings: BucketSettings, endpoint: str | None, max_size: int) -> Store:
        from fabfile.storage.s3 import S3Store

        return S3Store(
            settings.bucket,
            settings.region,
            endpoint,
            max_size=max_size,
            profile=settings.profile,
            encryption=settings.encryption,
            kms_key=settings.kms_key,
            checksums=settings.checksums,
            ca_file=PROJECT / Path(settings.ca_file).expanduser() if settings.ca_file else None,
        )

    def _identity(self) -> SecretStr:
        """The private key that encrypted backups are read with. Raises BadInput without one."""
        source = self.environment.backup.identity if self.environment.backup else None
        if source is None:
            return no_identity()
        found = self.reader.read(source, "backup.identity").value
        self.hide([found.get_secret_value()])
        return found

    @cached_property
    def postgres(self) -> Postgres:
        """The environment's database, for which its password alone is read, whatever else is not there. Raises BadInput
        where there is no database, or no password."""
        from fabfile.database.postgres import Postgres

        settings = self.environment.database
        if settings is None:
            raise BadInput(f"hosts/{self.name}.yml has no database section", "hosts/example.yml shows one")
        password = self.reader.read(settings.password, "database.password").value
        self.hide([password.get_secret_value()])
        return Postgres(settings, password, self.fleet[settings.via])

    @cached_property
    def database(self) -> Database | None:
        """The environment's database, or None without one."""
        from fabfile.database.postgres import Postgres

        settings, password = self.environment.database, self.sources.database_password
        if settings is None or password is None:
            return None
        return Postgres(settings, password, self.fleet[settings.via])

    @cached_property
    def ledger(self) -> Ledger:
        """What migrations the database has had. Raises BadInput where the environment has no SQL files of them."""
        from fabfile.database.ledger import PostgresLedger

        if self.environment.migrations is None:
            raise BadInput(f"hosts/{self.name}.yml has no migrations section", "hosts/example.yml shows one")
        return PostgresLedger(self.postgres, self.environment.migrations)

    @cached_property
    def physical(self) -> PgBackRest | None:
        """The environment's database server as pgBackRest sees it, or None where the engine is another."""
        from fabfile.database.pgbackrest import PgBackRest

        settings = self.environment.database
        if settings is None or settings.engine != "pgbackrest":
            return None
        return PgBackRest(self.environment, self.name, lambda: self.sources, self.fleet[settings.via])

    @property
    def point_in_time(self) -> PgBackRest:
        """As `physical`. Raises BadInput where the engine is another."""
        if self.physical is None:
            raise BadInput(
                f"hosts/{self.name}.yml: database.engine is not pgbackrest, so no server is brought back as a whole",
                "set database.engine: pgbackrest (hosts/example.yml shows what it needs), then inv backup.pitr-setup",
            )
        return self.physical
