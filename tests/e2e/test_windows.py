"""Deploys at the wrong time are refused, a hotfix is not, and maintenance is announced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.project import Project
from tests.e2e.unchanged import unchanged
from tests.listener import listening

pytestmark = pytest.mark.lab


@pytest.fixture(autouse=True)
def usual(project: Project) -> Iterator[None]:
    before = dict(project.environment)
    yield
    project.environment.clear()
    project.environment.update(before)
    project.configure()


def days(now: datetime, first: int, last: int) -> str:
    """A freeze from so many days after now to so many."""
    begin, end = now + timedelta(days=first), now + timedelta(days=last)
    return f"{begin.day} {begin:%b} - {end.day} {end:%b}"


def history(project: Project) -> list[Any]:
    """The last line of each host's history."""
    return [seen["history"][-1] for seen in project.inv("status", "--json").document.values()]


def test_a_deploy_within_a_freeze_is_refused_with_the_next_moment_and_changes_nothing(
    project: Project, first: str
) -> None:
    second, now = project.build("2.0.0"), datetime.now(UTC)
    project.configure(calendar={"freezes": [days(now, -1, 1)]})
    ends = (now + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
    with unchanged(project):
        refused = project.inv("deploy", f"--release={second}", "--json", expect=5)
    failed = refused.document
    assert failed["code"] == 5
    assert failed["error"].startswith("test takes no deploys now: the freeze ")
    assert failed["details"] == [f"next: {ends.isoformat(timespec='seconds')}"]
    assert "nobody holds a lock" in project.inv("lock.status").out
    found = project.inv("windows", "--json").document
    assert (found["open"], found["next"]) == (False, ends.isoformat())
    planned = project.inv("plan", f"--release={second}", expect=2)
    assert "inv deploy would be refused now: the freeze" in planned.err
    assert "nothing to do" in project.inv("deploy", f"--release={first}").out


def test_rolling_back_is_possible_at_any_time(project: Project, first: str) -> None:
    second = project.build("2.0.1")
    project.inv("deploy", f"--release={second}")
    project.configure(calendar={"freezes": ["1 Jan - 31 Dec"]})
    project.inv("rollback")
    assert {release for _, release in project.live().values()} == {first}


def test_a_hotfix_does_not_wait_and_stands_in_the_history_with_its_reason(project: Project, first: str) -> None:
    second, now = project.build("2.0.2"), datetime.now(UTC)
    project.configure(calendar={"windows": [f"{now + timedelta(days=2):%a} 10:00-12:00"]})
    refused = project.inv("deploy", f"--release={second}", expect=5)
    assert "it is outside the windows" in refused.err
    assert "a reason" in project.inv("deploy", f"--release={second}", "--hotfix", expect=3).err
    done = project.inv("deploy", f"--release={second}", "--hotfix", "--reason=checkout is down")
    assert "the reason is recorded: checkout is down" in done.err
    assert [(entry["release"], entry["hotfix"]) for entry in history(project)] == [(second, "checkout is down")] * 2


def test_a_window_that_is_open_lets_a_deploy_begin(project: Project, first: str) -> None:
    second = project.build("2.0.3")
    project.configure(calendar={"windows": ["daily 00:00-24:00 Pacific/Apia"], "freezes": ["29 Feb 2024 - 1 Mar 2024"]})
    project.inv("deploy", f"--release={second}")
    assert [entry["hotfix"] for entry in history(project)] == ["", ""]


def test_maintenance_is_announced_to_the_channels_once(project: Project) -> None:
    begin = datetime.now(UTC) + timedelta(minutes=50)
    at = f"{begin.day} {begin:%b %Y %H:%M}"
    with listening() as heard:
        project.environment["TEAM"] = heard.url("/", "json")
        maintenance = [{"at": at, "what": "The database moves."}]
        project.configure(notify=["env:TEAM"], calendar={"maintenance": maintenance})
        told = project.inv("windows.announce", "--json").document
        assert [(each["lead"], each["what"]) for each in told] == [("hour", "The database moves.")]
        assert project.inv("windows.announce").out == "nothing to announce\n"
        [message] = [json.loads(body) for body in heard.bodies]
    assert message["title"] == "maintenance of small in test within the hour"
    assert message["message"].endswith("UTC): The database moves.")
    assert "The database moves." in project.inv("windows").out
