"""The sections `calendar` and `approvals` in a file: what is accepted, and how a mistake in them is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from fabfile.config.approvals import signing_key
from fabfile.config.load import load
from tests.unit.config.test_load_errors import SMALLEST, errors, write

TOLD = "backup: {bucket: abc}\nnotify: [env:TEAM]\n"


def test_what_names_no_zone_is_in_the_one_of_the_section(tmp_path: Path) -> None:
    text = "calendar:\n  timezone: Europe/Berlin\n  windows: ['Tue 10:00', 'Wed 10:00 UTC']\n  freezes: [24 Dec]\n"
    write(tmp_path, SMALLEST + TOLD + text + "  maintenance: [{at: 5 Dec 2026 22:00-23:00, what: x}]\n")
    calendar = load("x", tmp_path).calendar.parsed
    assert [window.zone for window in calendar.windows] == ["Europe/Berlin", "UTC"]
    assert [freeze.zone for freeze in calendar.freezes] == ["Europe/Berlin"]
    assert [each.window.zone for each in calendar.maintenance] == ["Europe/Berlin"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("timezone: Berlin\n", "calendar.timezone: expected a time zone such as Europe/Berlin or UTC"),
        ("windows: [Tue 10]\n", "calendar.windows[0]: expected days and hours, such as Tue 10:00-12:00"),
        ("windows: Tue 10:00\n", "calendar.windows: expected a list, such as [one, two]"),
        ("windows: ['Tue 10:00 Mars']\n", "calendar.windows[0]: expected a time zone such as"),
        ("freezes: [24 Dec, 31 Feb]\n", "calendar.freezes[1]: there is no 31 Feb"),
        ("freezes: [24]\n", 'calendar.freezes[0]: expected text, but 24 reads as a number; quote it: "24"'),
        ("maintenance: [{at: '24 Dec 10:00', what: x}]\n", "calendar.maintenance[0].at: expected the year"),
        ("maintenance: [{at: 'Sun 03:00', what: ''}]\n", "calendar.maintenance[0].what: "),
        ("maintenance: [{at: 'Sun 03:00'}]\n", "calendar.maintenance[0].what: this key is required and missing"),
        ("maintenance: [{at: 'Sun 03:00', what: x}]\n", "calendar.maintenance: needs notify, to know whom to tell"),
        ("window: []\n", "calendar.window: unknown key; did you mean 'windows'?"),
    ],
)
def test_a_mistake_in_the_calendar_names_its_key(tmp_path: Path, text: str, error: str) -> None:
    [found] = errors(tmp_path, f"{SMALLEST}calendar:\n  {text}")
    assert found.startswith((f"5: {error}", f"4: {error}"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("approvals: {required: 1}\n", "approvals.required: needs a backup section: approvals are kept in its bucket"),
        ("approvals: {required: -1}\n", "approvals.required: expected at least 0, not -1"),
        ("approvals: {required: yes}\n", "approvals.required: expected a whole number, not yes"),
        ("approvals: {expire: 5}\n", "approvals.expire: expected a duration with its unit"),
        ("hosts: {h: {local: true, port: 22}}\n", "hosts.h.local: needs no address, user or port"),
    ],
)
def test_a_mistake_elsewhere_names_its_key(tmp_path: Path, text: str, error: str) -> None:
    start = "app: a\n" if text.startswith("hosts") else SMALLEST
    [found] = errors(tmp_path, start + text)
    assert found.split(": ", 1)[1].startswith(error)


def test_the_signing_key_is_the_variables_else_the_files(tmp_path: Path) -> None:
    write(tmp_path, SMALLEST + "approvals: {key: keys/mine}\n")
    settings = load("x", tmp_path).approvals
    assert signing_key(settings.key, tmp_path, {}) == tmp_path / "keys/mine"
    assert signing_key(settings.key, tmp_path, {"TURNOUT_SIGNING_KEY": "~/k"}) == Path.home() / "k"
    assert signing_key(settings.key, tmp_path, {"TURNOUT_SIGNING_KEY": ""}) == tmp_path / "keys/mine"
