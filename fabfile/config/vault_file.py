"""The vault's file: opened with the private key of whoever types this, and sealed for all who may read it."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from fabfile.config.custody import VaultSettings
from fabfile.config.private_file import read_value
from fabfile.errors import BadInput, StorageError
from fabfile.model.vault import Vault

IDENTITY = "TURNOUT_IDENTITY"


@dataclass(frozen=True)
class Opened:
    """A vault, and the bytes of its file that it was read from; None where there is no file yet."""

    vault: Vault
    sealed: bytes | None


def open_vault(settings: VaultSettings, project: Path, environ: Mapping[str, str]) -> Opened:
    """Read the vault; an absent one is empty. Raises BadInput when it cannot be read, or not with this identity."""
    from fabfile.encryption import opened  # loads a library that nothing else needs here

    try:
        sealed = (project / settings.file).read_bytes()
    except FileNotFoundError:
        return Opened(Vault(), None)
    except OSError as error:
        fact = f"vault.file: {settings.file} cannot be read: {(error.strerror or 'unreadable').lower()}"
        raise BadInput(fact, f"ls -l {shlex.quote(settings.file)}") from None
    try:
        plain = b"".join(opened([sealed], vault_identity(settings, project, environ), settings.file, "vault.identity"))
        return Opened(Vault.from_text(plain.decode()), sealed)
    except StorageError as error:
        raise _broken(settings, error.fact) from None
    except ValueError as error:
        raise _broken(settings, f"{settings.file}: {error}") from None


def seal(vault: Vault, settings: VaultSettings, project: Path, expected: bytes | None) -> None:
    """Replace the vault's file, at once and for good, by this vault for its recipients.

    Raises BadInput when the file is not the one of these bytes any more (None: absent), or cannot be written.
    """
    from fabfile.encryption import sealed

    file = project / settings.file
    data = b"".join(sealed([vault.to_text().encode()], vault.recipients))
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if (file.read_bytes() if file.exists() else None) != expected:
            fact = f"{settings.file} was changed by somebody else meanwhile: nothing was changed"
            raise BadInput(fact, "do it again, on top of their change")
        _write(beside, data)
        beside.replace(file)
        _sync(file.parent)
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise BadInput(f"vault.file: {settings.file} cannot be written: {reason}", "df -h .; ls -ld .") from None
    finally:
        beside.unlink(missing_ok=True)


def _write(file: Path, data: bytes) -> None:
    with file.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def vault_identity(settings: VaultSettings, project: Path, environ: Mapping[str, str]) -> SecretStr:
    """The private key of whoever types this. Raises BadInput when there is none."""
    if environ.get(IDENTITY):
        return SecretStr(environ[IDENTITY])
    kind, _, place = settings.identity.partition(":")
    if kind == "file":
        try:
            return SecretStr(read_value(place, "vault.identity", project)[0])
        except BadInput as error:
            raise BadInput(error.fact, f"age-keygen makes one, and {IDENTITY} may hold it: {error.hint}") from None
    if not environ.get(place):
        raise BadInput(f"vault.identity: the environment variable {place} is not set", f"export {place}=…")
    return SecretStr(environ[place])


def _broken(settings: VaultSettings, fact: str) -> BadInput:
    return BadInput(fact, f"take an earlier one: git log -- {shlex.quote(settings.file)}")
