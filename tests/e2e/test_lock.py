"""An environment frozen by hand: everybody is refused with the reason, until it is released or expires."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.project import Project

pytestmark = pytest.mark.lab

REASON = "--reason=database move"


@pytest.fixture(autouse=True)
def free(project: Project) -> Iterator[None]:
    yield
    project.inv("lock.release", "--yes")


def run_of(project: Project) -> str:
    """The run that holds both hosts."""
    leases = project.inv("lock.status", "--json").document
    assert set(leases) == set(project.lab.hosts)
    [run] = {held["run"] for held in leases.values()}
    return str(run)


def test_a_frozen_environment_refuses_a_deploy_with_the_reason_and_its_end(project: Project, first: str) -> None:
    second = project.build("3.0.0")
    project.inv("lock.acquire", REASON, "--expires=2h")
    refused = project.inv("deploy", f"--release={second}", expect=4)
    assert "h1 is locked by " in refused.err
    assert " for: database move (until 20" in refused.err
    assert "HINT: ask them, or wait; to end it by hand: inv lock.release" in refused.err
    assert "database move" in project.inv("lock.status").out
    assert "database move" in project.inv("status").out
    assert {release for _, release in project.live().values()} == {first}
    project.inv("lock.release", "--yes")
    project.inv("deploy", f"--release={second}")


def test_it_is_held_on_every_host_for_as_long_as_was_said(project: Project) -> None:
    document = project.inv("lock.acquire", REASON, "--expires=2h", "--json").document
    assert document["hosts"] == list(project.lab.hosts)
    assert run_of(project) == document["run"]
    assert document["run"].startswith("manual-")
    remaining = [held["remaining"] for held in project.inv("lock.status", "--json").document.values()]
    assert all(7100 < seconds <= 7200 for seconds in remaining)


def test_a_second_one_is_refused_with_the_holder_of_the_first(project: Project) -> None:
    project.inv("lock.acquire", REASON)
    run = run_of(project)
    refused = project.inv("lock.acquire", "--reason=mine", expect=4)
    assert "is locked by" in refused.err
    assert "for: database move" in refused.err
    assert run_of(project) == run


def test_it_is_taken_on_all_hosts_or_none(project: Project) -> None:
    """Somebody holds only the second host."""
    project.inv("lock.acquire", REASON)
    project.lab.execute("h1", "rm", "/var/app/small/.turnout/lease")
    refused = project.inv("lock.acquire", "--reason=mine", expect=4)
    assert "h2 is locked by" in refused.err
    assert set(project.inv("lock.status", "--json").document) == {"h2"}


def test_a_running_deploy_refuses_it(project: Project, first: str) -> None:
    slow = project.build("3.0.1", delay=1500)
    process = project.start("deploy", f"--release={slow}")
    deadline = time.monotonic() + 20
    while "nobody" in project.inv("lock.status").out and time.monotonic() < deadline:
        pass
    refused = project.inv("lock.acquire", REASON, expect=4)
    assert f"for: deploy {slow}" in refused.err
    process.communicate(timeout=240)
    assert process.returncode == 0


def test_it_ends_by_itself(project: Project, first: str) -> None:
    project.inv("lock.acquire", REASON, "--expires=3s")
    time.sleep(4)
    assert "nothing to do" in project.inv("deploy", f"--release={first}", "--lock-wait=5s").out  # the lock was had


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], 'write --reason="database move"'),
        (["--reason= "], "wants a reason"),
        (["--reason=a\nrun=b"], "line break or a control character"),
        (["--reason=" + "x" * 201], "201 characters, 200 are the most"),
        ([REASON, "--expires=2"], "--expires=2: expected a duration"),
        ([REASON, "--expires=0s"], "from 1s to 90d"),
        ([REASON, "--expires=91d"], "from 1s to 90d"),
    ],
)
def test_what_cannot_be_a_lock_is_refused_before_any_host_is_asked(
    project: Project, words: list[str], said: str
) -> None:
    refused = project.inv("lock.acquire", *words, expect=3)
    assert said in refused.err
    assert "nobody holds a lock" in project.inv("lock.status").out


def test_a_hook_is_refused_at_once(project: Project) -> None:
    project.environment["TURNOUT_RUN"] = "20260101T000000-abcd"
    try:
        refused = project.inv("lock.acquire", REASON, expect=4)
    finally:
        del project.environment["TURNOUT_RUN"]
    assert "this is a hook of run 20260101T000000-abcd, which holds the lock" in refused.err
