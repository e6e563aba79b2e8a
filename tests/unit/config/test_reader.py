"""Values in dotenv files and in the vault: read with their dates, and missed with a remedy; never shown."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path

import pyrage
import pytest
from pydantic import SecretStr

from fabfile.config.custody import VaultSettings
from fabfile.config.reader import Found, Reader
from fabfile.config.vault_file import open_vault, seal
from fabfile.errors import BadInput
from fabfile.model.finding import from_hint
from fabfile.model.vault import Entry, Vault

KEY, OTHER = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
RECIPIENT = str(KEY.to_public())
ENVIRON = {"TURNOUT_IDENTITY": str(KEY)}
SETTINGS = VaultSettings(file="hosts/live.age", recipients=(RECIPIENT,))


def dotenv(project: Path, text: str, mode: int = 0o600) -> None:
    (project / ".env").write_text(text)
    (project / ".env").chmod(mode)


def vault(project: Path, **values: str) -> None:
    entries = {name: Entry(SecretStr(value), "2026-03-01") for name, value in values.items()}
    seal(Vault(entries, (RECIPIENT,)), SETTINGS, project, None)


def reader(project: Path, environ: dict[str, str] | None = None, settings: VaultSettings | None = SETTINGS) -> Reader:
    return Reader(project, ENVIRON if environ is None else environ, settings)


def test_a_line_of_a_dotenv_file_is_read_with_the_files_date(tmp_path: Path) -> None:
    dotenv(tmp_path, "A=one\nB='two words'\n")
    os.utime(tmp_path / ".env", (0, 1_790_000_000))
    found = reader(tmp_path).read("dotenv:.env#B", "secrets.A")
    assert found == Found(SecretStr("two words"), datetime.fromtimestamp(1_790_000_000, UTC))
    assert "two" not in repr(found)


@pytest.mark.parametrize(
    ("text", "name", "fact", "hint"),
    [
        ("A=hunter2", "B", ".env has no value for B", "add B=… to .env"),
        ("TOKEN=hunter2", "TOKN", ".env has no value for TOKN", "did you mean 'TOKEN'?"),
        ("B=", "B", ".env has no value for B", "give it one in .env"),
        ("hunter2", "B", ".env: line 1 is not NAME=value", "correct .env"),
    ],
)
def test_a_dotenv_file_without_the_value_is_named(tmp_path: Path, text: str, name: str, fact: str, hint: str) -> None:
    dotenv(tmp_path, text)
    with pytest.raises(BadInput) as refused:
        reader(tmp_path).read(f"dotenv:.env#{name}", "secrets.A")
    assert (refused.value.fact, refused.value.hint) == (f"secrets.A: {fact}", hint)


def test_a_dotenv_file_that_others_can_open_is_refused(tmp_path: Path) -> None:
    dotenv(tmp_path, "A=hunter2", 0o644)
    with pytest.raises(BadInput, match=r"open to other users \(mode 0644\)"):
        reader(tmp_path).read("dotenv:.env#A", "secrets.A")


def test_an_entry_of_the_vault_is_read_with_its_date(tmp_path: Path) -> None:
    vault(tmp_path, A="one", B="two")
    found = reader(tmp_path).read("age:B", "secrets.A")
    assert found.value.get_secret_value() == "two"
    assert found.changed is not None
    assert found.changed.date() == date(2026, 3, 1)
    assert b"two" not in (tmp_path / "hosts/live.age").read_bytes()


def test_the_vault_is_opened_once_for_all_its_entries(tmp_path: Path) -> None:
    vault(tmp_path, A="one", B="two")
    asked = reader(tmp_path)
    asked.read("age:A", "secrets.A")
    (tmp_path / "hosts/live.age").unlink()
    assert asked.read("age:B", "secrets.B").value.get_secret_value() == "two"


def test_an_identity_may_be_in_a_file_or_a_variable_that_the_configuration_names(tmp_path: Path) -> None:
    vault(tmp_path, A="one")
    (tmp_path / "key").write_text(f"# mine\n{KEY}\n")
    (tmp_path / "key").chmod(0o600)
    for identity, environ in (("file:key", {}), ("env:MINE", {"MINE": str(KEY)})):
        settings = SETTINGS.model_copy(update={"identity": identity})
        assert reader(tmp_path, environ, settings).read("age:A", "secrets.A").value.get_secret_value() == "one"


def test_an_identity_that_others_can_open_comes_with_a_command_that_can_be_typed(tmp_path: Path) -> None:
    vault(tmp_path, A="one")
    (tmp_path / "key").write_text(str(KEY))
    (tmp_path / "key").chmod(0o644)
    with pytest.raises(BadInput, match="open to other users") as refused:
        reader(tmp_path, {}, SETTINGS.model_copy(update={"identity": "file:key"})).read("age:A", "secrets.A")
    assert from_hint(refused.value.hint).command == f"chmod 600 {tmp_path / 'key'}"


@pytest.mark.parametrize(
    ("environ", "settings", "fact", "hint"),
    [
        (ENVIRON, None, "there is no vault section to read age:TOKN from", "hosts/example.yml shows the section vault"),
        (ENVIRON, SETTINGS, "hosts/live.age has no TOKN", "did you mean 'TOKEN'?"),
        (
            {"TURNOUT_IDENTITY": str(OTHER)},
            SETTINGS,
            "hosts/live.age: is encrypted for other keys than vault.identity",
            "let vault.identity lead to the private key of one of its recipients",
        ),
        (
            {},
            SETTINGS.model_copy(update={"identity": "env:MINE"}),
            "vault.identity: the environment variable MINE is not set",
            "export MINE=…",
        ),
        (
            {"TURNOUT_IDENTITY": "hunter2"},
            SETTINGS,
            "vault.identity: the value is not a private key that can be used",
            "expected AGE-SECRET-KEY-1… or an OpenSSH key",
        ),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_with_a_remedy(
    tmp_path: Path, environ: dict[str, str], settings: VaultSettings | None, fact: str, hint: str
) -> None:
    vault(tmp_path, TOKEN="hunter2")
    with pytest.raises(BadInput) as refused:
        reader(tmp_path, environ, settings).read("age:TOKN", "secrets.A")
    assert (refused.value.fact, refused.value.hint) == (f"secrets.A: {fact}", hint)


def test_a_missing_vault_is_empty_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"hosts/live\.age has no A") as refused:
        reader(tmp_path).read("age:A", "secrets.A")
    assert refused.value.hint == "inv secrets.set A"
    vault(tmp_path, A="hunter2")
    file = tmp_path / "hosts/live.age"
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(BadInput, match=r"secrets\.A: hosts/live\.age: is damaged") as refused:
        reader(tmp_path).read("age:A", "secrets.A")
    assert refused.value.hint == "take an earlier one: git log -- hosts/live.age"


def test_a_vault_that_somebody_else_changed_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    vault(tmp_path, A="one")
    mine, theirs = (open_vault(SETTINGS, tmp_path, ENVIRON) for _ in range(2))
    seal(theirs.vault, SETTINGS, tmp_path, theirs.sealed)
    with pytest.raises(BadInput, match="changed by somebody else meanwhile"):
        seal(mine.vault, SETTINGS, tmp_path, mine.sealed)
    assert [path.name for path in (tmp_path / "hosts").iterdir()] == ["live.age"]
