"""A team's command on a host, under the guard of the lease as in a run."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from fabfile.commands import lease
from fabfile.commands.hook import hook, smoke_test
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths("shop", base=str(tmp_path))


def call(paths: Paths, *command: str, timeout: float = 20, **variables: str) -> str:
    token = lease.parse_acquired(HOST.run(lease.acquire(paths, "a", "ann@laptop", "deploy", 120)).stdout)
    assert isinstance(token, int)
    script = hook(paths, "pre-switch", command, variables, timeout)
    return HOST.run(lease.guarded(script, paths, "a", "deploy", "pre-switch", token)).stdout


def refused(paths: Paths, *command: str, timeout: float = 20) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        call(paths, *command, timeout=timeout)
    return caught.value


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_words_stay_words_and_nothing_is_read(paths: Paths) -> None:
    assert call(paths, "sh", "-c", 'cat; printf "%s\\n" "$@"', "sh", "a b", "$(id); *", "") == "a b\n$(id); *\n"


def test_it_is_told_its_variables_and_few_others(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMETHING_ELSE", "x")
    told = call(paths, "env", TURNOUT_RUN="r1", TURNOUT_RELEASE="1.0 $x").splitlines()
    assert {"TURNOUT_RUN=r1", "TURNOUT_RELEASE=1.0 $x"} < set(told)
    assert {line.split("=")[0] for line in told} == {"HOME", "USER", "LANG", "PATH", "TURNOUT_RUN", "TURNOUT_RELEASE"}


def test_it_runs_in_the_directory_of_the_application(paths: Paths) -> None:
    assert call(paths, "pwd").strip() == paths.root


def test_a_failure_names_point_command_and_the_last_lines(paths: Paths) -> None:
    error = refused(paths, "sh", "-c", "seq 100; exit 7")
    assert error.fact == "h1: hook pre-switch ended with status 7: sh -c seq 100; exit 7"
    assert error.details == tuple(str(number) for number in range(61, 101))
    assert error.hint


def test_a_program_that_is_not_there_is_named(paths: Paths) -> None:
    error = refused(paths, "no-such-program")
    assert "hook pre-switch ended with status 127: no-such-program" in error.fact
    assert "No such file" in error.details[0]


def test_a_smoke_test_ends_with_the_status_that_is_wanted(paths: Paths) -> None:
    Path(paths.root).mkdir()
    said = HOST.run(smoke_test(paths, "look", ["sh", "-c", "echo $X; exit 3"], {"X": "y"}, 20, status=3))
    assert said.stdout == "y\n"
    with pytest.raises(RemoteError, match="h1: smoke test look ended with status 0: true"):
        HOST.run(smoke_test(paths, "look", ["true"], {}, 20, status=3))


def test_it_ends_at_its_own_time_limit_and_says_what_it_said(paths: Paths) -> None:
    begun = time.monotonic()
    error = refused(paths, "sh", "-c", "echo begun; sleep 301 & echo $!; wait", timeout=1)
    assert time.monotonic() - begun < 5
    assert "h1: hook pre-switch did not end within 1 s and was killed: sh -c echo begun" in error.fact
    assert error.details[0] == "begun"
    assert gone(int(error.details[1]))


@pytest.mark.slow
def test_whoever_ignores_the_time_limit_is_killed(paths: Paths) -> None:
    begun = time.monotonic()
    error = refused(paths, "sh", "-c", f"trap '' TERM; sleep 302 & echo $! > {paths.root}/pid; wait; wait", timeout=1)
    assert time.monotonic() - begun < 10
    assert "hook pre-switch did not end within 1 s" in error.fact
    assert gone(int(Path(paths.root, "pid").read_text()))


def test_a_finished_hook_leaves_nobody_waiting_for_its_time_limit(paths: Paths) -> None:
    group = int(call(paths, "sh", "-c", "ps -o pgid= -p $$"))
    deadline = time.monotonic() + 10
    while left := [stat for stat in Path("/proc").glob("[0-9]*/stat") if _runs_in(stat, group)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _runs_in(stat: Path, group: int) -> bool:
    try:
        state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z" and int(found) == group


@pytest.mark.parametrize("endless", ["yes", "cat /dev/zero"])
def test_endless_output_is_cut_where_it_is_made(paths: Paths, endless: str) -> None:
    error = refused(paths, "sh", "-c", endless, timeout=1)
    assert sum(len(line) for line in error.details) <= 16000


def test_any_time_limit_can_be_told(paths: Paths) -> None:
    token = lease.parse_acquired(HOST.run(lease.acquire(paths, "a", "ann@laptop", "deploy", 120)).stdout)
    assert isinstance(token, int)
    script = hook(paths, "pre-switch", ("echo", "done"), {}, 0.5)
    script = dataclasses.replace(script, timeout=5)
    assert HOST.run(script).stdout == "done\n"
