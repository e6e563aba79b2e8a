"""Secrets made up for one session, one in every kind of place that the product reads them from."""

from __future__ import annotations

import base64
import json
import random
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pyrage
import zstandard
from pydantic import SecretStr

from fabfile.config.custody import VaultSettings
from fabfile.config.vault_file import open_vault, seal
from fabfile.model.vault import Vault
from tests.aws_server import Kept
from tests.e2e.project import Project

SOURCES = {
    "ENV_KEY": "env:SHOP_ENV_KEY",
    "FILE_KEY": "file:keys/file_key",
    "DOTENV_KEY": "dotenv:keys/dotenv#DOTENV_KEY",
    "AGE_KEY": "age:AGE_KEY",
    "AWS_KEY": "aws:shop/all#key",
    "SSM_KEY": "ssm:/shop/key",
    "DATABASE_URL": "env:SHOP_DATABASE_URL",
}
"""The application's secrets, each in a place of another kind."""


def made_up() -> str:
    """A value with characters that shells, URLs, JSON and YAML each write in a way of their own."""
    return f"{secrets.token_urlsafe(21)}+/'\"${{x}} %"


@dataclass
class Planted:
    """Every secret by name: those of the application, as they are delivered, and all that gives access to them."""

    delivered: dict[str, str]
    others: dict[str, str]

    @property
    def values(self) -> Mapping[str, str]:
        return {**self.delivered, **self.others}

    def forms(self) -> dict[bytes, str]:
        """All that a value may look like somewhere, and whose value it is."""
        return {form: name for name, value in self.values.items() for form in forms(value)}


def forms(value: str) -> set[bytes]:
    """A value as it is, in JSON, in URLs, as Python shows it, and in base64 at any place of a longer text."""
    data = value.encode()
    found = {data, quote(value).encode(), quote(value, safe="").encode()}
    found |= {text[1:-1].encode() for text in (json.dumps(value), repr(value))}
    for offset, first in enumerate((0, 2, 3)):  # the first and last characters also depend on what stands beside
        text = base64.b64encode(bytes(offset) + data)
        found.add(text[first : 8 * (offset + len(data)) // 6])
    return found


def compressed(data: bytes) -> bytes:
    """Zstandard in which nobody reads the data as it is: beside so much else, all of it is coded by its frequency."""
    return zstandard.compress(bytes(random.Random(1).choices(string.ascii_letters.encode(), k=5000)) + data)


def plant(project: Project, kept: Kept) -> Planted:
    """Make up a secret for each place, put it there, and have the environment `test` of the project name them."""
    identity = pyrage.x25519.Identity.generate()
    delivered = {name: made_up() for name in SOURCES}
    password = secrets.token_urlsafe(21)
    delivered["DATABASE_URL"] = f"postgresql://app:{password}@10.0.0.1:5432/app"
    channel = secrets.token_urlsafe(21)
    folder = project.folder / "keys"
    folder.mkdir(mode=0o700)
    escaped = delivered["DOTENV_KEY"].replace("\\", "\\\\").replace('"', '\\"')
    for name, text in (("file_key", delivered["FILE_KEY"]), ("dotenv", f'DOTENV_KEY="{escaped}"\n')):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text)
    kept.secrets["shop/all"] = json.dumps({"key": delivered["AWS_KEY"]})
    kept.parameters["/shop/key"] = delivered["SSM_KEY"]
    project.environment |= kept.variables | {
        "SHOP_ENV_KEY": delivered["ENV_KEY"],
        "SHOP_DATABASE_URL": delivered["DATABASE_URL"],
        "TURNOUT_IDENTITY": str(identity),
        "TEAM": f"json://team:{channel}@127.0.0.1:1/",
    }
    project.always |= sections(str(identity.to_public()))
    project.configure()
    others = {
        "the password in DATABASE_URL": password,
        "the vault's identity": str(identity),
        "the channel's token": channel,
        "the database's password": project.environment["TURNOUT_DB_PASSWORD"],
        "the bucket's key": project.environment["AWS_SECRET_ACCESS_KEY"],
    }
    put_into_vault(project, delivered["AGE_KEY"])
    return Planted(delivered, others)


def sections(recipient: str) -> dict[str, Any]:
    """What the environment says of its secrets."""
    return {
        "secrets": SOURCES,
        "vault": {"file": "hosts/test.age", "recipients": [recipient]},
        "aws": {"region": "eu-central-1"},
        "notify": ["env:TEAM"],
        "database": {
            "via": "db",
            "name": "app",
            "user": "turnout",
            "password": "env:TURNOUT_DB_PASSWORD",
            "url_variable": "DATABASE_URL",
        },
    }


def put_into_vault(project: Project, value: str) -> None:
    """Make this the secret in the vault, as `inv secrets.set` does."""
    settings = VaultSettings.model_validate(project.always["vault"])
    opened = open_vault(settings, project.folder, project.environment)
    vault = opened.vault.holding({"AGE_KEY": SecretStr(value)}, datetime.now(UTC).date().isoformat())
    seal(Vault(vault.entries, settings.recipients), settings, project.folder, opened.sealed)
