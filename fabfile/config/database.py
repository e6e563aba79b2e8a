"""The `database` section of `hosts/<environment>.yml`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fabfile.config.section import Section
from fabfile.config.values import Duration, HostName, Identifier, PlainText, Port, Sourced, VariableName


class RepositorySettings(Section):
    """pgBackRest's encrypted repository below `backup.prefix`; `inv backup.pitr-setup` alone reads its secrets."""

    access_key: Sourced = "env:AWS_ACCESS_KEY_ID"
    """The S3 key that the database's host uses: `env:NAME` or `file:PATH`."""
    secret_key: Sourced = "env:AWS_SECRET_ACCESS_KEY"  # noqa: S105 - where it comes from
    """The secret of that key."""
    passphrase: Sourced
    """What everything in the repository is encrypted with; without it nothing can be restored, so keep it elsewhere."""
    keep_full: Annotated[int, Field(ge=1, le=1000)] = 4
    """How many full backups pgBackRest keeps, with what depends on them."""


class DatabaseSettings(Section):
    """The PostgreSQL database that is backed up and restored."""

    via: HostName
    """The host on which pg_dump runs and through which connections are tunnelled."""
    host: HostName = "127.0.0.1"
    """The server's address, as seen from `via`."""
    port: Port = 5432
    """The server's port."""
    name: Identifier
    """The application's database."""
    user: Identifier
    """A role that may create, own and rename this database (superuser, or CREATEDB and owner)."""
    password: Sourced
    """That role's password: `env:NAME` or `file:PATH`."""
    schema_version: Annotated[PlainText, Field(min_length=1)] | None = None
    """An SQL query for one value, the version of the application's schema; backups note it."""
    jobs: Annotated[int, Field(ge=1, le=64)] = 1
    """Tables dumped at once; above 1 the database must fit into /var/tmp on `via` once more. Restores use 2 or more."""
    url_variable: VariableName | None = None
    """The secret of the application that holds this database's URL; for trying a release out on a restored copy."""
    engine: Literal["dump", "pgbackrest"] = "dump"
    """`dump` takes the database alone; `pgbackrest` the whole server, and every change, back to any moment."""
    archive_timeout: Duration = 900.0
    """With `pgbackrest`: how much at most is lost with the server, 1m to 1h, as changes are archived that often."""
    full_every: Duration = 604800.0
    """With `pgbackrest`: how old the last full backup gets before the next one is full, and not only the difference."""
    repository: RepositorySettings | None = None
    """With `pgbackrest`: its encrypted repository in the bucket of `backup`."""
