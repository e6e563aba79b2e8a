"""The lease on a real file system: one holder, takeover only after silence, and no step under an old token."""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fabfile.commands import lease
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths("shop", base=str(tmp_path))


def acquire(paths: Paths, run: str, ttl: int = 120) -> int | dict[str, str]:
    return lease.parse_acquired(HOST.run(lease.acquire(paths, run, "ann@laptop", "deploy 1.0", ttl)).stdout)


def step(paths: Paths, token: int, body: str = "true\n", run: str = "a", events: tuple[str, str] = lease.DO) -> str:
    script = Script(body, timeout=10, mutates=True)
    return HOST.run(lease.guarded(script, paths, run, "deploy", "unpack", token, events)).stdout


def journal(paths: Paths) -> list[str]:
    return [json.loads(line)["event"] for line in Path(paths.state, "journal.jsonl").read_text().splitlines()]


def test_a_second_run_is_told_who_holds_the_lease_and_why(paths: Paths) -> None:
    assert acquire(paths, "a") == 1
    held = acquire(paths, "b")
    assert isinstance(held, dict)
    assert (held["holder"], held["reason"]) == ("ann@laptop", "deploy 1.0")
    assert int(held["remaining"]) > 100


def test_only_one_of_many_gets_it(paths: Paths) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: acquire(paths, f"run{i}"), range(8)))
    assert sum(isinstance(answer, int) for answer in answers) == 1


def test_a_silent_holder_loses_it_and_its_next_step_is_refused(paths: Paths) -> None:
    token = acquire(paths, "a", ttl=60)
    assert isinstance(token, int)
    long_ago = time.time() - 61
    os.utime(Path(paths.state, "lease"), (long_ago, long_ago))
    assert acquire(paths, "b") == token + 1
    with pytest.raises(RemoteError) as refused:
        step(paths, token, "touch $HOME/never\n")
    assert refused.value.status == lease.LOST
    assert "not started" in refused.value.fact


def test_a_heartbeat_keeps_it(paths: Paths) -> None:
    token = acquire(paths, "a", ttl=60)
    assert isinstance(token, int)
    long_ago = time.time() - 61
    os.utime(Path(paths.state, "lease"), (long_ago, long_ago))
    HOST.run(lease.renew(paths, token))
    assert isinstance(acquire(paths, "b"), dict)


def test_a_released_lease_is_free_and_anothers_is_left_alone(paths: Paths) -> None:
    first = acquire(paths, "a")
    assert isinstance(first, int)
    HOST.run(lease.release(paths, "a"))
    second = acquire(paths, "b")
    assert isinstance(second, int)
    HOST.run(lease.release(paths, "a"))
    assert isinstance(acquire(paths, "c"), dict)


def test_breaking_the_lease_fences_the_former_holder(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    HOST.run(lease.break_lease(paths))
    with pytest.raises(RemoteError):
        step(paths, token)
    assert isinstance(acquire(paths, "b"), int)


def test_a_line_that_was_cut_takes_no_other_with_it(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    Path(paths.state, "journal.jsonl").write_text('{"at":"2026-01-01T00:00:00Z","ru')
    step(paths, token)
    lines = Path(paths.state, "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines[1:]] == ["start", "done"]


def test_each_step_is_journalled_before_and_after(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    seen = step(paths, token, f"wc -l < {paths.state}/journal.jsonl\n")
    assert seen.strip() == "1"
    assert journal(paths) == ["start", "done"]
    with pytest.raises(RemoteError) as failed:
        step(paths, token, "echo broken >&2\nexit 9\n")
    assert (failed.value.status, failed.value.fact) == (9, "h1: broken")
    step(paths, token, events=lease.UNDO)
    assert journal(paths) == ["start", "done", "start", "failed", "undo", "undone"]


def test_a_failing_line_in_a_step_ends_it(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    with pytest.raises(RemoteError):
        step(paths, token, f"false\ntouch {paths.root}/reached\n")
    assert not Path(paths.root, "reached").exists()


def test_what_a_step_leaves_running_does_not_hold_the_lease(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    step(paths, token, "setsid sleep 5 > /dev/null 2>&1 < /dev/null &\n")
    HOST.run(lease.release(paths, "a"))
    assert isinstance(acquire(paths, "b"), int)


@pytest.mark.slow
def test_who_holds_the_lease_is_told_while_a_long_step_runs(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(step, paths, token, "sleep 3\n")
        while not Path(paths.state, "journal.jsonl").exists():
            time.sleep(0.01)
        held = acquire(paths, "b")
        assert isinstance(held, dict)
        assert not running.done()
        running.result()


def test_what_still_runs_of_a_step_is_ended_before_it_is_taken_back(paths: Paths) -> None:
    """The connection broke: the step goes on over there, and its undo must not run beside it."""
    token = acquire(paths, "a")
    assert isinstance(token, int)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(step, paths, token, f"sleep 30\ntouch {paths.root}/late\n")
        while not Path(paths.state, "step").exists() or not Path(paths.state, "step").read_text().strip():
            time.sleep(0.01)
        begun = time.monotonic()
        step(paths, token, "echo undone\n", events=lease.UNDO)
        assert time.monotonic() - begun < 10
        with pytest.raises(RemoteError):
            running.result()
    assert not Path(paths.root, "late").exists()


def test_breaking_the_lease_ends_the_step_that_still_runs(paths: Paths) -> None:
    token = acquire(paths, "a")
    assert isinstance(token, int)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(step, paths, token, "sleep 30\n")
        while not Path(paths.state, "step").exists() or not Path(paths.state, "step").read_text().strip():
            time.sleep(0.01)
        HOST.run(lease.break_lease(paths))
        with pytest.raises(RemoteError):
            running.result()
    assert isinstance(acquire(paths, "b"), int)
