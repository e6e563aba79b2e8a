"""What is in force: each value with where it stands, as a person would write it, and without any secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fabfile.config.effective import Setting, differences, settings
from fabfile.config.json_schema import json_schema
from tests.unit.config.test_layers import project

BASE = "base: true\napp: shop\nhealth:\n  timeout: 90s\nenv: {LEVEL: info}\n"
LEAF = "extends: base.yml\nhosts:\n  h1: {}\nsecrets:\n  KEY: env:SHOP_KEY\n"


@pytest.fixture
def usual(tmp_path: Path) -> dict[str, Setting]:
    project(tmp_path, base=BASE, x=LEAF)
    return {setting.key: setting for setting in settings("x", tmp_path)}


@pytest.mark.parametrize(
    ("key", "value", "origin"),
    [
        ("app", "shop", "hosts/base.yml:2"),
        ("health.timeout", "90s", "hosts/base.yml:4"),
        ("health.stable", "3s", "default"),
        ("env.LEVEL", "info", "hosts/base.yml:5"),
        ("secrets.KEY", "env:SHOP_KEY", "hosts/x.yml:5"),
        ("hosts.h1", {}, "hosts/x.yml:3"),
        ("hosts.h1.roles", ["web", "app"], "default"),
        ("hosts.h1.port", None, "default"),
        ("gates.error_rate", "5%", "default"),
        ("hooks.pre-deploy", [], "default"),
        ("database", None, "default"),
        ("extends", "base.yml", "hosts/x.yml:1"),
        ("release.migrate_timeout", "10m", "default"),
    ],
)
def test_each_value_is_there_with_where_it_stands(
    usual: dict[str, Setting], key: str, value: object, origin: str
) -> None:
    assert (usual[key].value, usual[key].origin) == (value, origin)


def test_sizes_lists_of_sections_and_nested_sections_are_shown_as_they_are_written(tmp_path: Path) -> None:
    text = "app: a\nhosts: {h: {}}\nbackup:\n  bucket: abc\n  retention: {weekly: 90d}\n"
    text += "hooks:\n  pre-deploy:\n    - command: [a, b]\n    - {command: [c], timeout: 1500ms}\n"
    project(tmp_path, x=text)
    shown = {setting.key: (setting.value, setting.origin) for setting in settings("x", tmp_path)}
    assert shown["backup.max_size"] == ("1TiB", "default")
    assert shown["backup.retention.weekly"] == ("90d", "hosts/x.yml:5")
    assert shown["backup.copy"] == (None, "default")
    assert shown["hooks.pre-deploy[0].command"] == (["a", "b"], "hosts/x.yml:8")
    assert shown["hooks.pre-deploy[1].timeout"] == ("1500ms", "hosts/x.yml:9")
    assert shown["hooks.pre-deploy[0].timeout"] == ("1m", "default")


def test_what_looks_like_a_secret_in_plain_sight_is_hidden(tmp_path: Path) -> None:
    text = "app: a\nhosts: {h: {}}\nenv: {API_TOKEN: hunter2, DSN: x, LEVEL: 'https://bob:hunter2@log.example/x'}\n"
    text += "backup: {bucket: abc, endpoint: 'https://key:hunter2@s3.example.com'}\n"
    text += "hooks: {pre-deploy: [{command: [curl, -H, 'Authorization: Bearer hunter2', --password=hunter2,"
    text += " --api-token, hunter2, 'Cookie: s=hunter2', --tokens-from, x]}]}\n"
    project(tmp_path, x=text)
    every = settings("x", tmp_path)
    assert "hunter2" not in json.dumps([setting.document() for setting in every])
    assert "hunter2" not in repr(every)
    shown = {setting.key: setting.value for setting in every}
    assert shown["env.API_TOKEN"] == shown["env.DSN"] == "[hidden]"
    assert shown["env.LEVEL"] == "https://[hidden]@log.example/x"
    assert shown["hooks.pre-deploy[0].command"] == [
        "curl",
        "-H",
        "Authorization:[hidden]",
        "--password=[hidden]",
        "--api-token",
        "[hidden]",
        "Cookie: [hidden]",
        "--tokens-from",
        "x",
    ]


def compared(folder: Path, first: str, second: str) -> dict[str, tuple[object, object]]:
    start = "app: a\nhosts: {h: {}}\n"
    project(folder, one=start + first, two=start + second)
    pairs = differences(settings("one", folder), settings("two", folder))
    return {
        each.key: (each.first.value if each.first else "-", each.second.value if each.second else "-") for each in pairs
    }


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("", "", {}),
        ("health: {timeout: 60s}\n", "health: {timeout: 1m}\n", {}),
        ("site: {listen: 80}\n", "site: {}\n", {}),
        ("site: {listen: 81}\n", "", {"site.listen": (81, 80)}),
        ("secrets: {K: env:A}\n", "secrets: {K: env:B}\n", {"secrets.K": ("env:A", "env:B")}),
        ("env: {A: x}\n", "env: {}\n", {"env.A": ("x", "-")}),
        ("env: {TOKEN: x}\n", "env: {TOKEN: y}\n", {"env.TOKEN": ("[hidden]", "[hidden]")}),
        ("env: {TOKEN: x}\n", "env: {TOKEN: x}\n", {}),
        ("backup: {bucket: abc}\n", "", {"backup.bucket": ("abc", "-")}),
        ("", "backup: null\n", {}),
        ("build: {exclude: [a]}\n", "build: {exclude: [a, b]}\n", {"build.exclude": (["a"], ["a", "b"])}),
    ],
)
def test_only_what_differs_is_told(
    tmp_path: Path, first: str, second: str, told: dict[str, tuple[object, object]]
) -> None:
    assert compared(tmp_path, first, second) == told


def test_a_host_that_only_one_has_is_told_though_all_of_it_is_default(tmp_path: Path) -> None:
    project(tmp_path, one="app: a\nhosts: {h: {}, i: {}}\n", two="app: a\nhosts: {h: {}}\n")
    [found] = differences(settings("one", tmp_path), settings("two", tmp_path))
    assert (found.key, found.second) == ("hosts.i", None)
    [back] = differences(settings("two", tmp_path), settings("one", tmp_path))
    assert (back.key, back.first) == ("hosts.i", None)


def test_editors_ask_for_nothing_that_another_file_may_bring() -> None:
    schema = json_schema()
    sections = schema["$defs"]
    assert isinstance(sections, dict)
    assert "required" not in sections["DatabaseSettings"]
    assert sections["Hook"]["required"] == ["command"]
    assert sections["MaintenanceSettings"]["required"] == ["at", "what"]
    assert "required" not in schema
    assert {"required": ["extends"]} in list(schema["anyOf"])  # type: ignore[call-overload]
