"""`inv secrets.get`, `.set`, `.edit` and `.rekey`: the vault in the repository is read, changed and sealed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fabfile.config.custody import VaultSettings
    from fabfile.config.schema import Environment
    from fabfile.config.vault_file import Opened
    from fabfile.model.vault import Vault

NAME = "the secret's name in the vault"
LARGEST = 1 << 20
"""Bytes that are read of a value from standard input."""


@dataclass(frozen=True)
class _Safe:
    """The vault of one environment."""

    name: str
    environment: Environment
    settings: VaultSettings
    project: Path

    def open(self) -> Opened:
        from fabfile.config.vault_file import open_vault

        return open_vault(self.settings, self.project, os.environ)

    def save(self, vault: Vault, opened: Opened) -> None:
        """Replace the file by one that is sealed for those who may read it now."""
        from dataclasses import replace

        from fabfile.config.vault_file import seal

        seal(replace(vault, recipients=self.settings.recipients), self.settings, self.project, opened.sealed)

    def unused(self, names: Iterable[str]) -> list[str]:
        """Those of the names that nothing in the configuration points to."""
        from fabfile.config.variables import sources

        used = set(sources(self.environment))
        return [name for name in names if f"age:{name}" not in used]


@verb(help={"name": NAME, "env": ENV}, name="get")
def get_secret(reporter: Reporter, name: str, env: str | None = None) -> None:
    """Write the value of a secret in the vault to standard output."""
    safe = _safe(env)
    vault = safe.open().vault
    if name not in vault.entries:
        raise BadInput(
            f"{safe.settings.file} has no {name}", f"it has: {', '.join(sorted(vault.entries)) or 'nothing'}"
        )
    value = vault.entries[name].value.get_secret_value()
    reporter.answer(value, {"name": name, "value": value})


@verb(help={"name": NAME, "env": ENV, "json": JSON}, name="set")
def set_secret(reporter: Reporter, name: str, env: str | None = None, json: bool = False) -> None:
    """Put a secret into the vault: its value is asked for without echo, or read from standard input."""
    import re

    from pydantic import SecretStr

    from fabfile.model.vault import NAME as SHAPE
    from fabfile.model.vault import unfit

    safe = _safe(env)
    if not re.fullmatch(SHAPE, name):
        raise BadInput(f"{name!r} is not a variable's name", "letters, digits and '_', no digit first")
    opened = safe.open()
    value = _typed(name)
    reporter.hide([value])
    if fault := unfit(value):
        raise BadInput(f"the value of {name} {fault}", f"inv secrets.set {name} again, with another value")
    values = {key: entry.value for key, entry in opened.vault.entries.items()}
    after = opened.vault.holding({**values, name: SecretStr(value)}, _today())
    _keep(reporter, safe, opened, after)


@verb(help={"env": ENV, "json": JSON})
def edit(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Open the vault in your editor, one NAME=value on each line; it is sealed again when you leave."""
    from fabfile.editor import edit as open_editor
    from fabfile.editor import in_memory, passing_folder
    from fabfile.model.vault import parse_lines

    safe = _safe(env)
    opened = safe.open()
    if not in_memory():
        reporter.say("there is no /dev/shm here: while you edit, the values are on a disk")
    head = f"# {safe.settings.file}: NAME=value on each line, the value as it is; lines with # are not kept.\n"
    with passing_folder() as folder:
        file = folder / "secrets"
        file.touch(mode=0o600)
        file.write_text(head + opened.vault.lines())
        while True:
            open_editor(file, os.environ)
            try:
                values = parse_lines(file.read_text())
            except (ValueError, OSError) as error:
                _again(error)
                continue
            break
    after = opened.vault.holding(values, _today())
    _keep(reporter, safe, opened, after)


@verb(help={"env": ENV, "json": JSON})
def rekey(reporter: Reporter, env: str | None = None, json: bool = False) -> None:
    """Seal the vault for exactly those that `vault.recipients` names now."""
    safe = _safe(env)
    opened = safe.open()
    if opened.sealed is None:
        raise BadInput(f"there is no {safe.settings.file} yet", "inv secrets.set NAME makes it")
    before, after = opened.vault.recipients, safe.settings.recipients
    added = [key for key in after if key not in before]
    removed = [key for key in before if key not in after]
    document = {"file": safe.settings.file, "added": added, "removed": removed}
    if not added and not removed:
        return reporter.answer(f"nothing to do: {safe.settings.file} is sealed for these already", document)
    safe.save(opened.vault, opened)
    for sign, keys in (("+", added), ("-", removed)):
        for key in keys:
            reporter.say(f"{sign} {key}")
    if removed:
        reporter.say(
            "those removed know what was in it, and git has its former state: change every secret that they saw"
        )
    return reporter.answer(f"{safe.settings.file} is sealed for {len(after)} keys; commit it", document)


def _keep(reporter: Reporter, safe: _Safe, opened: Opened, after: Vault) -> None:
    """Save what changed, and say what it was, by name."""
    before, file = opened.vault.entries, safe.settings.file
    added = sorted(set(after.entries) - set(before))
    removed = sorted(set(before) - set(after.entries))
    changed = sorted(name for name in set(before) & set(after.entries) if before[name] != after.entries[name])
    document = {"file": file, "added": added, "changed": changed, "removed": removed}
    if not (added or changed or removed):
        return reporter.answer(f"nothing changed in {file}", document)
    safe.save(after, opened)
    for word, names in (("added", added), ("changed", changed), ("removed", removed)):
        if names:
            reporter.say(f"{word}: {', '.join(names)}")
    for name in safe.unused(added):
        reporter.say(f"nothing uses {name} yet: write {name}: age:{name} below secrets in hosts/{safe.name}.yml")
    return reporter.answer(
        f"{file} is sealed for {len(safe.settings.recipients)} keys; commit it, then inv deploy", document
    )


def _safe(env: str | None) -> _Safe:
    from fabfile.backends import PROJECT
    from fabfile.config.load import choose, load

    name = choose(env, PROJECT, os.environ)
    environment = load(name, PROJECT)
    if environment.vault is None:
        raise BadInput(f"hosts/{name}.yml has no vault section", "hosts/example.yml shows one")
    return _Safe(name, environment, environment.vault, PROJECT)


def _typed(name: str) -> str:
    """A value from the keyboard, which is not shown and asked for twice, or all of standard input."""
    import getpass
    import sys

    if sys.stdin.isatty():
        try:
            value = getpass.getpass(f"{name}: ")
            if getpass.getpass(f"{name}, again: ") != value:
                raise BadInput("the two values differ: nothing was changed", f"inv secrets.set {name} again")
        except EOFError:
            raise BadInput("no value was typed: nothing was changed", f"inv secrets.set {name} again") from None
        return value
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise BadInput(f"the value of {name} has more than {LARGEST} bytes", "keep it elsewhere, and its key here")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadInput(f"the value of {name} is not UTF-8 text", "keep the base64 of it") from None
    return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text


def _again(error: Exception) -> None:
    """Let people correct what they wrote, if there are any."""
    import sys

    if not sys.stdin.isatty():
        raise BadInput(f"what was edited cannot be used: {error}", "nothing was changed; try again") from None
    sys.stderr.write(f"{error}; Enter to edit again, Ctrl-C to leave everything as it was ")
    sys.stderr.flush()
    if not sys.stdin.readline():
        raise BadInput(f"what was edited cannot be used: {error}", "nothing was changed; try again") from None


def _today() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).date().isoformat()
