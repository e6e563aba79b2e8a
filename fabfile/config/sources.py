"""Values that the configuration only points to: environment variables and private files."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from fabfile.config.backup import BucketSettings
from fabfile.config.database import RepositorySettings
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


def resolve(source: str, key: str, project: Path, environ: Mapping[str, str]) -> SecretStr:
    """The value behind `env:NAME` or `file:PATH` (relative to the project; one trailing line break is dropped).

    `key` is the dotted path that the source was written at. Raises BadInput when there is no value, or when the file
    is open to other users; no message holds the value.
    """
    kind, _, place = source.partition(":")
    if kind == "env":
        return SecretStr(_from_environ(place, key, environ))
    if kind == "file":
        return SecretStr(_from_file(place, key, project))
    raise BadInput(f"{key}: does not say where its value comes from", f"write {key} as env:NAME or file:PATH")


def resolve_all(environment: Environment, project: Path, environ: Mapping[str, str]) -> Sources:
    """Read every source of an environment. Raises one BadInput that names all that cannot be read."""
    failures: list[BadInput] = []

    def attempt(source: str, key: str) -> SecretStr | None:
        try:
            return resolve(source, key, project, environ)
        except BadInput as failure:
            failures.append(failure)
            return None

    application: dict[str, SecretStr] = {}
    for name, source in environment.secrets.items():
        if secret := attempt(source, f"secrets.{name}"):
            failures += _unfit_for_env_file(secret, f"secrets.{name}")
            application[name] = secret
    password = attempt(environment.database.password, "database.password") if environment.database else None

    def url(bucket: BucketSettings | None, key: str) -> str | None:
        endpoint = bucket.endpoint if bucket else None
        if not endpoint or not endpoint.startswith("env:"):
            return endpoint
        found = attempt(endpoint, key)
        failures.extend(_unfit_for_url(found, endpoint, key))
        return found.get_secret_value() if found else None

    backup = environment.backup
    endpoint = url(backup, "backup.endpoint")
    copy_endpoint = url(backup.copy_to if backup else None, "backup.copy.endpoint")
    if failures:
        raise _together(failures)
    return Sources(MappingProxyType(application), password, endpoint, copy_endpoint)


def resolve_endpoint(bucket: BucketSettings, project: Path, environ: Mapping[str, str]) -> str | None:
    """The URL of the store of `backup`, None for AWS, without any other value being read. Raises BadInput."""
    endpoint, key = bucket.endpoint, "backup.endpoint"
    if not endpoint or not endpoint.startswith("env:"):
        return endpoint
    found = resolve(endpoint, key, project, environ)
    if failures := _unfit_for_url(found, endpoint, key):
        raise failures[0]
    return found.get_secret_value()


def resolve_channels(environment: Environment, project: Path, environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """Who is told when something goes wrong. Raises BadInput for the first that cannot be read."""
    return tuple(
        Channel(source, resolve(source, f"notify.{place}", project, environ))
        for place, source in enumerate(environment.notify)
    )


def resolve_ping(environment: Environment, project: Path, environ: Mapping[str, str]) -> SecretStr | None:
    """The URL of the dead man's switch, if there is one. Raises BadInput when it cannot be read or is no URL."""
    source = environment.backup.schedule.ping if environment.backup else None
    if source is None:
        return None
    url = resolve(source, "backup.schedule.ping", project, environ)
    if not re.fullmatch(r"https?://[!-~]+", url.get_secret_value()):
        fact = f"backup.schedule.ping: the value of {source} is not an http:// or https:// URL"
        raise BadInput(fact, "copy the ping URL of the check, whole")
    return url


def resolve_repository(settings: RepositorySettings, project: Path, environ: Mapping[str, str]) -> RepositorySecrets:
    """Read the secrets of pgBackRest's repository. Raises BadInput for one that cannot be read or used."""
    found = {}
    for name in ("access_key", "secret_key", "passphrase"):
        key = f"database.repository.{name}"
        secret = resolve(getattr(settings, name), key, project, environ)
        value = secret.get_secret_value()
        if not value.isprintable() or value != value.strip():
            raise BadInput(f"{key}: the value has a blank at its ends or a control character", f"give {key} another")
        found[name] = secret
    return RepositorySecrets(**found)


def _from_environ(name: str, key: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if not value:
        state = "empty" if value == "" else "not set"
        raise BadInput(f"{key}: the environment variable {name} is {state}", f"export {name}=…")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{key}: the environment variable {name} is not UTF-8 text", f"export {name}=…") from None
    return value


def _from_file(place: str, key: str, project: Path) -> str:
    hint = f"write the value into {shlex.quote(place)}, then chmod 600 {shlex.quote(place)}"
    try:
        path = project / Path(place).expanduser()
        text = _read_private(path, key, place).decode()
    except (OSError, RuntimeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "no such home directory"
        raise BadInput(f"{key}: the file {place} cannot be read: {reason.lower()}", hint) from None
    except ValueError:
        raise BadInput(f"{key}: the file {place} is not UTF-8 text", hint) from None
    value = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not value:
        raise BadInput(f"{key}: the file {place} is empty", hint)
    return value


def _read_private(path: Path, key: str, place: str) -> bytes:
    # Judged on the open file, so that it cannot be exchanged in between; not blocking, so that a pipe cannot hang us.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise BadInput(f"{key}: {place} is not a regular file", f"let {key} name a file that holds only the value")
        if mode & 0o066:
            fact = f"{key}: the file {place} is open to other users (mode {stat.S_IMODE(mode):04o})"
            raise BadInput(fact, f"chmod 600 {shlex.quote(str(path))}")
        return file.read()


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
