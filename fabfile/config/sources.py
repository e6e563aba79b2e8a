"""Values that the configuration only points to, read all at once where a run needs them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from fabfile.config.backup import BucketSettings
from fabfile.config.database import RepositorySettings
from fabfile.config.reader import Found, Reader
from fabfile.config.schema import Environment
from fabfile.errors import BadInput


@dataclass(frozen=True)
class Sources:
    """Every value that an environment points to, read once."""

    application: Mapping[str, SecretStr]
    """The application's secret variables by name; none is empty or holds a line break."""
    database_password: SecretStr | None
    """None without a database section."""
    backup_endpoint: str | None
    """The URL of an S3-compatible store; None for AWS."""
    copy_endpoint: str | None = None
    """The same for the second bucket."""
    changed: Mapping[str, datetime] = field(default_factory=dict)
    """Since when (UTC) the application's secrets are these, for those whose source tells."""


@dataclass(frozen=True)
class Channel:
    """Somewhere news go: its URL, which is a secret, and where that stands, by which people may call it."""

    source: str
    url: SecretStr


@dataclass(frozen=True)
class RepositorySecrets:
    """What pgBackRest needs on the database's host; none of it has a control character or a blank at its ends."""

    access_key: SecretStr
    secret_key: SecretStr
    passphrase: SecretStr


def resolve_all(environment: Environment, project: Path, environ: Mapping[str, str]) -> Sources:
    """Read every source of an environment. Raises one BadInput that names all that cannot be read."""
    failures: list[BadInput] = []
    reader = Reader.of(environment, project, environ)

    def attempt(source: str, key: str) -> Found | None:
        try:
            return reader.read(source, key)
        except BadInput as failure:
            failures.append(failure)
            return None

    wanted = {name: attempt(source, f"secrets.{name}") for name, source in environment.secrets.items()}
    application = {name: found for name, found in wanted.items() if found}
    for name, found in application.items():
        failures += _unfit_for_env_file(found.value, f"secrets.{name}")
    password = attempt(environment.database.password, "database.password") if environment.database else None

    def url(bucket: BucketSettings | None, key: str) -> str | None:
        endpoint = bucket.endpoint if bucket else None
        if not endpoint or not endpoint.startswith("env:"):
            return endpoint
        found = attempt(endpoint, key)
        failures.extend(_unfit_for_url(found.value if found else None, endpoint, key))
        return found.value.get_secret_value() if found else None

    backup = environment.backup
    endpoint = url(backup, "backup.endpoint")
    copy_endpoint = url(backup.copy_to if backup else None, "backup.copy.endpoint")
    if failures:
        raise _together(failures)
    return Sources(
        MappingProxyType({name: found.value for name, found in application.items()}),
        password.value if password else None,
        endpoint,
        copy_endpoint,
        {name: found.changed for name, found in application.items() if found.changed},
    )


def resolve_endpoint(
    bucket: BucketSettings, project: Path, environ: Mapping[str, str], section: str = "backup"
) -> str | None:
    """The URL of the store of that section, None for AWS, without any other value being read. Raises BadInput."""
    endpoint, key = bucket.endpoint, f"{section}.endpoint"
    if not endpoint or not endpoint.startswith("env:"):
        return endpoint
    found = Reader(project, environ).read(endpoint, key).value
    if failures := _unfit_for_url(found, endpoint, key):
        raise failures[0]
    return found.get_secret_value()


def resolve_channels(environment: Environment, project: Path, environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """Who is told when something goes wrong. Raises BadInput for the first that cannot be read."""
    reader = Reader.of(environment, project, environ)
    return tuple(
        Channel(source, reader.read(source, f"notify.{place}").value) for place, source in enumerate(environment.notify)
    )


def resolve_ping(environment: Environment, project: Path, environ: Mapping[str, str]) -> SecretStr | None:
    """The URL of the dead man's switch, if there is one. Raises BadInput when it cannot be read or is no URL."""
    source = environment.backup.schedule.ping if environment.backup else None
    if source is None:
        return None
    url = Reader.of(environment, project, environ).read(source, "backup.schedule.ping").value
    if not re.fullmatch(r"https?://[!-~]+", url.get_secret_value()):
        fact = f"backup.schedule.ping: the value of {source} is not an http:// or https:// URL"
        raise BadInput(fact, "copy the ping URL of the check, whole")
    return url


def resolve_repository(settings: RepositorySettings, reader: Reader) -> RepositorySecrets:
    """Read the secrets of pgBackRest's repository. Raises BadInput for one that cannot be read or used."""
    found = {}
    for name in ("access_key", "secret_key", "passphrase"):
        key = f"database.repository.{name}"
        secret = reader.read(getattr(settings, name), key).value
        value = secret.get_secret_value()
        if not value.isprintable() or value != value.strip():
            raise BadInput(f"{key}: the value has a blank at its ends or a control character", f"give {key} another")
        found[name] = secret
    return RepositorySecrets(**found)


def _unfit_for_env_file(secret: SecretStr, key: str) -> list[BadInput]:
    """Application secrets travel as KEY=value, one per line."""
    if re.search(r"[\n\r\0]", secret.get_secret_value()):
        hint = f"give {key} a value of one line, for example the base64 of it"
        return [BadInput(f"{key}: the value has a line break or NUL in it", hint)]
    return []


def _unfit_for_url(value: SecretStr | None, source: str, key: str) -> list[BadInput]:
    if value and not re.fullmatch(r"https?://[!-~]+", value.get_secret_value()):
        name = source.removeprefix("env:")
        return [BadInput(f"{key}: the value of {name} is not an http:// or https:// URL", f"export {name}=https://…")]
    return []


def _together(failures: list[BadInput]) -> BadInput:
    if len(failures) == 1:
        return failures[0]
    details = [f"{failure.fact}: {failure.hint}" for failure in failures]
    return BadInput(
        f"{len(failures)} values that the configuration points to cannot be used", failures[0].hint, details
    )
