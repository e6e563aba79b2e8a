"""The value behind a source, wherever that is: a variable, a private file, a dotenv file, the vault or AWS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from fabfile.config import dotenv
from fabfile.config.custody import AwsSettings, VaultSettings
from fabfile.config.private_file import read_private, read_value
from fabfile.config.suggest import suggest
from fabfile.config.vault_file import open_vault
from fabfile.errors import BadInput
from fabfile.model.vault import Vault

if TYPE_CHECKING:
    from fabfile.aws_secrets import AwsSecrets
    from fabfile.config.schema import Environment


@dataclass(frozen=True)
class Found:
    """A value, and since when it is this one, as far as the place that keeps it knows: an upper limit for files."""

    value: SecretStr
    changed: datetime | None = None


class Reader:
    """Reads values; what several of them share is opened once. No message holds a value."""

    def __init__(
        self,
        project: Path,
        environ: Mapping[str, str],
        vault: VaultSettings | None = None,
        aws: AwsSettings | None = None,
    ) -> None:
        self._project, self._environ = project, environ
        self._settings, self._aws = vault, aws or AwsSettings()

    @staticmethod
    def of(environment: Environment, project: Path, environ: Mapping[str, str]) -> Reader:
        """One that knows the vault and the AWS of an environment."""
        return Reader(project, environ, environment.vault, environment.aws)

    def read(self, source: str, key: str) -> Found:
        """What stands behind `source`, which was written at the dotted path `key`.

        One trailing line break of a file is dropped. Raises BadInput when there is no value, or when a file that it is
        in is open to other users.
        """
        kind, _, place = source.partition(":")
        match kind:
            case "env":
                return Found(SecretStr(self._from_environ(place, key)))
            case "file":
                value, changed = read_value(place, key, self._project)
                return Found(SecretStr(value), changed)
            case "dotenv":
                return self._from_dotenv(place, key)
            case "age":
                return self._from_vault(place, key)
            case "aws" | "ssm":
                return self._from_aws(kind, place, key)
        raise BadInput(f"{key}: does not say where its value comes from", f"write {key} as env:NAME or file:PATH")

    def _from_environ(self, name: str, key: str) -> str:
        value = self._environ.get(name)
        if not value:
            state = "empty" if value == "" else "not set"
            raise BadInput(f"{key}: the environment variable {name} is {state}", f"export {name}=…")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise BadInput(f"{key}: the environment variable {name} is not UTF-8 text", f"export {name}=…") from None
        return value

    def _from_dotenv(self, place: str, key: str) -> Found:
        file, _, name = place.rpartition("#")
        text, changed = read_private(file, key, self._project)
        try:
            found = dotenv.parse(text)
        except ValueError as error:
            raise BadInput(f"{key}: {file}: {error}", f"correct {file}") from None
        if not found.get(name):
            hint = f"give it one in {file}" if name in found else _nearest(name, found, f"add {name}=… to {file}")
            raise BadInput(f"{key}: {file} has no value for {name}", hint)
        return Found(SecretStr(found[name]), changed)

    @cached_property
    def _vault(self) -> Vault:
        assert self._settings
        return open_vault(self._settings, self._project, self._environ).vault

    def _from_vault(self, name: str, key: str) -> Found:
        if self._settings is None:
            raise BadInput(
                f"{key}: there is no vault section to read age:{name} from", "hosts/example.yml shows the section vault"
            )
        try:
            entry = self._vault.entries.get(name)
        except BadInput as error:
            raise BadInput(f"{key}: {error.fact}", error.hint) from None
        if entry is None:
            hint = _nearest(name, self._vault.entries, f"inv secrets.set {name}")
            raise BadInput(f"{key}: {self._settings.file} has no {name}", hint)
        return Found(entry.value, datetime.fromisoformat(entry.changed).replace(tzinfo=UTC))

    @cached_property
    def _cloud(self) -> AwsSecrets:
        from fabfile.aws_secrets import AwsSecrets  # loads boto3

        return AwsSecrets(self._aws.region, self._aws.profile)

    @cached_property
    def _answers(self) -> dict[str, Found]:
        return {}

    def _from_aws(self, kind: str, place: str, key: str) -> Found:
        """Several members of one secret are one question."""
        name, _, member = place.partition("#")
        try:
            if (source := f"{kind}:{name}") not in self._answers:
                ask = self._cloud.secret if kind == "aws" else self._cloud.parameter
                self._answers[source] = Found(*ask(name))
            found = self._answers[source]
            if member:
                found = replace(found, value=_member(found.value, member, name))
        except BadInput as error:
            raise BadInput(f"{key}: {error.fact}", error.hint) from None
        if not found.value.get_secret_value():
            raise BadInput(f"{key}: {place} is empty", "give it a value")
        return found


def _member(text: SecretStr, member: str, name: str) -> SecretStr:
    """A value in a secret that is a JSON object."""
    try:
        found = json.loads(text.get_secret_value())
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise BadInput(f"{name}: is no JSON object that could have the key {member}", "write it without #")
    if member not in found:
        raise BadInput(f"{name}: has no key {member}", _nearest(member, found, "correct the key behind #"))
    value = found[member]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise BadInput(f"{name}: the value of {member} is no text", "keep it as text")
    return SecretStr(str(value))


def _nearest(name: str, known: Mapping[str, object], otherwise: str) -> str:
    return suggest(name, known) or otherwise
