"""Secrets are read from the environment or private files, all at once, and never shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from fabfile.config.database import RepositorySettings
from fabfile.config.reader import Reader
from fabfile.config.schema import Environment
from fabfile.config.sources import resolve_all, resolve_repository
from fabfile.errors import BadInput


def private(project: Path, content: bytes, mode: int = 0o600) -> Path:
    path = project / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def environment(**sections: object) -> Environment:
    return Environment.model_validate({"app": "a", "hosts": {"h": {}}, **sections})


def resolve(source: str, key: str, project: Path, environ: dict[str, str]) -> SecretStr:
    return Reader(project, environ).read(source, key).value


def test_an_environment_variable_is_read(tmp_path: Path) -> None:
    secret = resolve("env:TOKEN", "secrets.A", tmp_path, {"TOKEN": " value "})
    assert secret.get_secret_value() == " value "
    assert "value" not in f"{secret!r} {secret}"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"a", "a"),
        (b"a\n", "a"),
        (b"a\n\n", "a\n"),
        (b"a\r\n", "a"),
        (b" a \n", " a "),
        (b"a\r", "a\r"),
        ("é".encode(), "é"),
    ],
)
def test_one_trailing_line_break_of_a_file_is_dropped(tmp_path: Path, content: bytes, value: str) -> None:
    private(tmp_path, content)
    assert resolve("file:secret", "secrets.A", tmp_path, {}).get_secret_value() == value


def test_a_file_is_relative_to_the_project_or_absolute(tmp_path: Path) -> None:
    path = private(tmp_path, b"a")
    assert resolve(f"file:{path}", "secrets.A", Path("/nowhere"), {}).get_secret_value() == "a"


@pytest.mark.parametrize(
    ("environ", "state"), [({}, "not set"), ({"TOKEN": ""}, "empty"), ({"TOKEN": "\udcff"}, "not UTF-8 text")]
)
def test_a_variable_without_a_value_is_named(tmp_path: Path, environ: dict[str, str], state: str) -> None:
    with pytest.raises(BadInput, match=f"secrets.A: the environment variable TOKEN is {state}") as caught:
        resolve("env:TOKEN", "secrets.A", tmp_path, environ)
    assert caught.value.hint == "export TOKEN=…"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    path = private(tmp_path, b"hunter2", mode)
    with pytest.raises(BadInput, match=f"open to other users .mode {mode:04o}") as caught:
        resolve("file:secret", "secrets.A", tmp_path, {})
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_file_is_read(tmp_path: Path, mode: int) -> None:
    private(tmp_path, b"a", mode)
    assert resolve("file:secret", "secrets.A", tmp_path, {}).get_secret_value() == "a"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "no such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff", "not UTF-8")]
)
def test_a_file_without_a_value_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        private(tmp_path, content)
    with pytest.raises(BadInput, match=f"database.password: the file secret .*{reason}") as caught:
        resolve("file:secret", "database.password", tmp_path, {})
    assert "chmod 600 secret" in caught.value.hint


def test_a_pipe_does_not_hang_and_a_directory_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "directory").mkdir(0o700)
    for place in ("pipe", "directory"):
        with pytest.raises(BadInput, match=f"{place} (is not a regular file|cannot be read)"):
            resolve(f"file:{place}", "secrets.A", tmp_path, {})


def test_a_source_of_another_kind_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"secrets\.A: does not say where") as caught:
        resolve("hunter2", "secrets.A", tmp_path, {})
    assert "hunter2" not in str(caught.value)


def test_everything_an_environment_points_to_is_read(tmp_path: Path) -> None:
    private(tmp_path, b"two\n")
    settings = environment(
        secrets={"ONE": "env:ONE", "TWO": "file:secret"},
        database={"via": "h", "name": "x", "user": "y", "password": "env:PASSWORD"},
        backup={"bucket": "abc", "endpoint": "env:S3", "copy": {"bucket": "abd", "endpoint": "https://s3.example"}},
    )
    sources = resolve_all(settings, tmp_path, {"ONE": "hunter1", "PASSWORD": "a\nb", "S3": "http://127.0.0.1:9000"})
    assert sources.copy_endpoint == "https://s3.example"
    assert {name: secret.get_secret_value() for name, secret in sources.application.items()} == {
        "ONE": "hunter1",
        "TWO": "two",
    }
    assert sources.database_password is not None
    assert sources.database_password.get_secret_value() == "a\nb"
    assert sources.backup_endpoint == "http://127.0.0.1:9000"
    assert "hunter1" not in repr(sources)


def test_without_sources_nothing_is_read(tmp_path: Path) -> None:
    sources = resolve_all(environment(), tmp_path, {})
    assert (dict(sources.application), sources.database_password, sources.backup_endpoint) == ({}, None, None)
    plain = environment(backup={"bucket": "abc", "endpoint": "https://s3.example.com"})
    assert resolve_all(plain, tmp_path, {}).backup_endpoint == "https://s3.example.com"


def test_all_missing_values_are_told_at_once(tmp_path: Path) -> None:
    settings = environment(
        secrets={"ONE": "env:ONE", "TWO": "file:secret", "THREE": "env:THREE"},
        database={"via": "h", "name": "x", "user": "y", "password": "env:PASSWORD"},
        backup={"bucket": "abc", "endpoint": "env:S3"},
    )
    with pytest.raises(BadInput) as caught:
        resolve_all(settings, tmp_path, {"THREE": "here"})
    keys = [detail.split(":")[0] for detail in caught.value.details]
    assert keys == ["secrets.ONE", "secrets.TWO", "database.password", "backup.endpoint"]
    assert all("export " in detail or "chmod 600 secret" in detail for detail in caught.value.details)


@pytest.mark.parametrize("value", ["hunter2\nB=c", "hunter2\r", "hunter2\0"])
def test_an_application_secret_of_several_lines_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadInput, match=r"secrets\.A: the value has a line break or NUL") as caught:
        resolve_all(environment(secrets={"A": "env:A"}), tmp_path, {"A": value})
    assert "hunter2" not in str(caught.value)


def test_an_endpoint_that_is_no_url_is_refused_without_repeating_it(tmp_path: Path) -> None:
    settings = environment(backup={"bucket": "abc", "endpoint": "env:S3"})
    with pytest.raises(
        BadInput, match=r"backup\.endpoint: the value of S3 is not an http:// or https:// URL"
    ) as caught:
        resolve_all(settings, tmp_path, {"S3": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_the_repositorys_secrets_are_read_and_not_shown(tmp_path: Path) -> None:
    settings = RepositorySettings(access_key="env:A", secret_key="env:B", passphrase="env:C")
    found = resolve_repository(settings, Reader(tmp_path, {"A": "key-1", "B": "key-2", "C": "a long passphrase"}))
    assert found.passphrase.get_secret_value() == "a long passphrase"
    assert "passphrase" not in str(found).replace("passphrase=", "")


@pytest.mark.parametrize("value", [" hush", "hush ", "hush\nhush", "hush\t"])
def test_a_secret_that_pgbackrest_would_read_otherwise_is_refused(tmp_path: Path, value: str) -> None:
    settings = RepositorySettings(access_key="env:A", secret_key="env:A", passphrase="env:C")
    with pytest.raises(BadInput, match=r"database\.repository\.passphrase") as refused:
        resolve_repository(settings, Reader(tmp_path, {"A": "key", "C": value}))
    assert "hush" not in str(refused.value)
