"""Every value that an environment points to is asked for, and told by its key when it is not there."""

from __future__ import annotations

from pathlib import Path

from fabfile.config.required import required, unreadable
from fabfile.config.schema import Environment
from fabfile.config.variables import variables

ENVIRONMENT = Environment.model_validate(
    {
        "app": "shop",
        "hosts": {"h1": {}},
        "secrets": {"KEY": "env:SESSION_KEY", "OTHER": "file:other"},
        "database": {"via": "h1", "name": "shop", "user": "turnout", "password": "env:PASSWORD"},
        "backup": {
            "bucket": "backups",
            "endpoint": "env:ENDPOINT",
            "identity": "file:identity",
            "schedule": {"ping": "env:PING"},
            "copy": {"bucket": "others", "endpoint": "env:COPY"},
        },
        "notify": ["env:TEAM"],
    }
)


def test_each_variable_that_the_configuration_names_is_among_them() -> None:
    sources = required(ENVIRONMENT)
    named = {source.removeprefix("env:") for source in sources.values() if source.startswith("env:")}
    assert named == set(variables(ENVIRONMENT))
    assert {source for source in sources.values() if source.startswith("file:")} == {"file:other", "file:identity"}


def test_an_endpoint_that_is_written_out_is_no_value_to_find() -> None:
    plain = Environment.model_validate(
        {"app": "shop", "hosts": {"h1": {}}, "backup": {"bucket": "backups", "endpoint": "https://s3.example"}}
    )
    assert required(plain) == {}


def test_what_cannot_be_read_is_told_by_its_key_and_never_by_its_value(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("hunter2")
    (tmp_path / "other").chmod(0o644)
    environ = {"PASSWORD": "hunter2", "ENDPOINT": "https://s3.example", "COPY": "https://s3.example", "TEAM": ""}
    found = {lacking.key: lacking for lacking in unreadable(ENVIRONMENT, tmp_path, environ)}
    assert list(found) == ["secrets.KEY", "secrets.OTHER", "backup.identity", "backup.schedule.ping", "notify.0"]
    assert found["secrets.KEY"].fact == "the environment variable SESSION_KEY is not set"
    assert "open to other users" in found["secrets.OTHER"].fact
    assert found["secrets.OTHER"].hint.startswith("chmod 600 ")
    assert "hunter2" not in str(found)
