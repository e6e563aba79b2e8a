"""The application's database URL, pointed to another database and otherwise as it was."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from fabfile.config.database import DatabaseSettings
from fabfile.config.database_url import with_database
from fabfile.errors import BadInput

SETTINGS = DatabaseSettings(via="db1", name="app", user="turnout", password="env:X", url_variable="DATABASE_URL")


def url(value: str, settings: DatabaseSettings = SETTINGS) -> str:
    secrets = {"DATABASE_URL": SecretStr(value), "KEY": SecretStr("app")}
    changed = with_database(settings, secrets, "app_verify_1")
    assert {**changed, "DATABASE_URL": secrets["DATABASE_URL"]} == secrets
    return changed["DATABASE_URL"].get_secret_value()


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://app:app@app/{}",
        "postgres://a%2Fp:p%40ss%3A@db.example:5433/{}?sslmode=require&application_name=app",
        "postgresql://[::1]:5432/{}",
    ],
)
def test_nothing_but_the_database_changes(value: str) -> None:
    assert url(value.format("app")) == value.format("app_verify_1")


@pytest.mark.parametrize(
    "value", ["postgresql://u:hunter2@h/other", "mysql://u:hunter2@h/app", "hunter2", "postgresql://[hunter2/app"]
)
def test_what_is_no_url_of_the_live_database_is_refused_and_not_told(value: str) -> None:
    with pytest.raises(BadInput, match=r"secrets\.DATABASE_URL: the value is no URL of the database app") as refused:
        url(value)
    assert "hunter2" not in str(refused.value)


def test_without_a_variable_it_says_what_to_write() -> None:
    with pytest.raises(BadInput, match="url_variable is not set") as refused:
        url("postgresql://u@h/app", SETTINGS.model_copy(update={"url_variable": None}))
    assert "url_variable: DATABASE_URL" in refused.value.hint
