"""Which variables a configuration points to."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.config.schema import Environment
from fabfile.config.sources import resolve_channels, resolve_ping
from fabfile.config.variables import secret_values, variables
from fabfile.errors import BadInput


def environment(**sections: object) -> Environment:
    return Environment.model_validate({"app": "a", "hosts": {"h": {}}, **sections})


def test_every_place_that_says_where_its_value_comes_from_is_found() -> None:
    found = variables(
        environment(
            secrets={"A": "env:ONE", "B": "file:hosts/b", "C": "env:TWO"},
            database={"via": "h", "name": "x", "user": "y", "password": "env:THREE"},
            backup={"bucket": "abc", "endpoint": "env:FOUR", "schedule": {"ping": "env:FIVE"}},
            notify=["env:SIX", "file:x", "env:ONE"],
        )
    )
    assert found == ("FIVE", "FOUR", "ONE", "SIX", "THREE", "TWO")


def test_what_only_the_set_up_of_pgbackrest_needs_is_left_out() -> None:
    repository = {"passphrase": "env:PASSPHRASE", "access_key": "env:KEY"}
    database = {"via": "h", "name": "x", "user": "y", "password": "env:THREE", "repository": repository}
    assert variables(environment(database=database)) == ("THREE",)


def test_with_a_vault_its_key_is_among_them() -> None:
    key = "age10gwjpek2juqsy3avfguvev8dd8y72fernqxnxjuwn2wgtw4rd9msymtedj"
    vault = {"file": "x.age", "recipients": [key], "identity": "env:MINE"}
    secrets = {"A": "age:A", "B": "ssm:env:B", "C": "dotenv:x#C"}
    assert variables(environment(vault=vault, secrets=secrets)) == ("MINE", "TURNOUT_IDENTITY")


def test_what_smoke_tests_log_in_with_is_left_out() -> None:
    smoke = {"secrets": {"password": "env:PASSWORD"}, "http": {"a": {"path": "/", "body": "{password}"}}}
    assert variables(environment(secrets={"A": "env:ONE"}, smoke=smoke)) == ("ONE",)


def test_nobody_sees_the_value_of_a_variable_but_for_the_address_of_a_store() -> None:
    smoke = {"secrets": {"password": "env:PASSWORD"}, "http": {"a": {"path": "/", "body": "{password}"}}}
    copy = {"bucket": "other", "endpoint": "env:SECOND"}
    backup = {"bucket": "abc", "endpoint": "env:FIRST", "copy": copy, "schedule": {"ping": "env:PING"}}
    settings = environment(secrets={"A": "env:ONE"}, notify=["env:TEAM", "env:UNSET"], smoke=smoke, backup=backup)
    names = ("FIRST", "SECOND", "PING", "ONE", "TEAM", "PASSWORD", "AWS_SECRET_ACCESS_KEY", "HOME")
    found = secret_values(settings, {name: f"the value of {name}" for name in names})
    hidden = ("AWS_SECRET_ACCESS_KEY", "ONE", "PASSWORD", "PING", "TEAM")
    assert found == tuple(f"the value of {name}" for name in hidden)


def test_text_that_only_looks_so_is_none() -> None:
    settings = environment(env={"A": "env:ONE"}, process={"arguments": ["env:TWO"]}, build={"exclude": ["env:THREE"]})
    assert variables(settings) == ()


def test_channels_are_called_by_where_they_are_written(tmp_path: Path) -> None:
    settings = environment(notify=["env:TEAM", "env:BOSS"])
    channels = resolve_channels(settings, tmp_path, {"TEAM": "json://a", "BOSS": "json://b"})
    assert [channel.source for channel in channels] == ["env:TEAM", "env:BOSS"]
    assert "json://" not in repr(channels)
    with pytest.raises(BadInput, match=r"notify\.1: the environment variable BOSS is not set"):
        resolve_channels(settings, tmp_path, {"TEAM": "json://a"})


def test_a_ping_is_a_url_or_refused_without_repeating_it(tmp_path: Path) -> None:
    settings = environment(backup={"bucket": "abc", "schedule": {"ping": "env:PING"}})
    found = resolve_ping(settings, tmp_path, {"PING": "https://hc.example.com/u-u-i-d"})
    assert found is not None
    assert found.get_secret_value() == "https://hc.example.com/u-u-i-d"
    with pytest.raises(BadInput, match=r"backup\.schedule\.ping: the value of env:PING is not") as caught:
        resolve_ping(settings, tmp_path, {"PING": "file:///etc/hunter2"})
    assert "hunter2" not in str(caught.value)
    assert resolve_ping(environment(), tmp_path, {}) is None


@pytest.mark.parametrize(
    ("schedule", "place"),
    [
        ({"every": "15m", "jitter": "15m"}, "jitter"),
        ({"alert_after": "1d"}, "alert_after"),
        ({"every": "90m"}, "every"),
        ({"every": "5h"}, "every"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(schedule: dict[str, str], place: str) -> None:
    with pytest.raises(ValueError, match=rf"backup\.schedule\.{place}"):
        environment(backup={"bucket": "abc", "schedule": schedule})
