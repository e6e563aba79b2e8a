"""Commands of the team on this machine, as real processes: bounded in time and output, and none left behind."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fabfile.errors import BadInput
from fabfile.remote import local_command

FAMILY = "trap '' TERM; sh -c \"trap '' TERM; sleep 300 & echo \\$! > grandchild; wait; wait; wait\""
"""A command whose child and grandchild outlive SIGTERM, as does it."""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 20 s"
        time.sleep(0.02)


def written(file: Path) -> bool:
    return file.exists() and file.read_text().strip() != ""


def test_output_of_both_kinds_is_told_in_order_and_only_its_end(tmp_path: Path) -> None:
    ended = local_command.run(["sh", "-c", "seq 100; echo last >&2"], tmp_path, 10)
    assert (ended.failed, ended.how) == (False, "ended with status 0")
    assert ended.lines == (*(str(number) for number in range(62, 101)), "last")


@pytest.mark.parametrize(("ending", "status"), [("exit 3", 3), ("kill -KILL $$", 137)])
def test_a_failure_has_its_status_and_its_words(tmp_path: Path, ending: str, status: int) -> None:
    ended = local_command.run(["sh", "-c", f"echo no such key >&2; {ending}"], tmp_path, 10)
    assert (ended.failed, ended.how, ended.status) == (True, f"ended with status {status}", status)
    assert ended.lines == ("no such key",)


def test_words_stay_words_and_there_is_nothing_to_read(tmp_path: Path) -> None:
    ended = local_command.run(["sh", "-c", 'cat; printf "%s\\n" "$@"', "sh", "a b", "$HOME; *"], tmp_path, 10)
    assert ended.lines == ("a b", "$HOME; *")


def test_it_runs_in_the_folder_with_the_given_variables(tmp_path: Path) -> None:
    ended = local_command.run(["sh", "-c", "pwd; echo $X"], tmp_path, 10, {**os.environ, "X": "y"})
    assert ended.lines == (str(tmp_path), "y")


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot run `no-such-program x`: No such file"):
        local_command.run(["no-such-program", "x"], tmp_path, 10)


def test_a_time_out_ends_even_grandchildren_that_ignore_sigterm(tmp_path: Path) -> None:
    begun = time.monotonic()
    ended = local_command.run(["sh", "-c", f"echo begun; {FAMILY}"], tmp_path, 1, grace=0.5)
    assert 1.4 < time.monotonic() - begun < 10
    assert (ended.failed, ended.how, ended.lines) == (True, "did not end within 1 s and was killed", ("begun",))
    wait_for(lambda: gone(int((tmp_path / "grandchild").read_text())))


def test_it_ends_with_its_children_when_it_is_to_stop(tmp_path: Path) -> None:
    stop, begun = threading.Event(), time.monotonic()
    threading.Timer(0.5, stop.set).start()
    ended = local_command.run(["sh", "-c", "sleep 300 & echo $!; wait"], tmp_path, 300, stop=stop)
    assert time.monotonic() - begun < 20
    assert (ended.failed, ended.status) == (True, None)
    wait_for(lambda: gone(int(ended.lines[0])))


def test_a_command_may_tidy_up_at_its_time_out(tmp_path: Path) -> None:
    ended = local_command.run(["sh", "-c", "trap 'echo tidied; exit 0' TERM; sleep 300 & wait"], tmp_path, 0.5)
    assert (ended.failed, ended.lines) == (True, ("tidied",))


def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    begun = time.monotonic()
    ended = local_command.run(["sh", "-c", "sleep 300 & echo $!"], tmp_path, 60)
    assert time.monotonic() - begun < 10
    wait_for(lambda: gone(int(ended.lines[0])))


def test_a_stranger_who_keeps_the_output_open_is_not_waited_for(tmp_path: Path) -> None:
    """A daemon in a session of its own has the pipe, and writes to it for ever."""
    begun = time.monotonic()
    ended = local_command.run(["sh", "-c", "setsid sh -c 'echo $$; exec yes' & sleep 0.3"], tmp_path, 60)
    assert time.monotonic() - begun < 10
    assert not ended.failed


@pytest.mark.parametrize("endless", ["yes", "cat /dev/zero"])
def test_endless_output_costs_no_memory(tmp_path: Path, endless: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ended = local_command.run(["sh", "-c", endless], tmp_path, 1.5)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert ended.failed
    assert len(ended.lines) <= local_command.SHOWN
    assert grown < 16 << 10, f"{grown} KiB more"


def test_ctrl_c_ends_it_with_its_children(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from fabfile.remote.local_command import run; "
    program += f"run(['sh', '-c', {FAMILY!r}], Path(sys.argv[1]), 300, grace=0.5)"
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE)
    try:
        wait_for(lambda: written(tmp_path / "grandchild"))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert b"KeyboardInterrupt" in errors
    wait_for(lambda: gone(int((tmp_path / "grandchild").read_text())))


def test_an_interrupt_at_any_moment_leaves_no_process(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    command = ["sh", "-c", "echo $$ >> started; exec sleep 300"]
    for _ in range(40):
        timer = threading.Timer(chance.uniform(0, 0.006), signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            local_command.run(command, tmp_path, 300)
    if (tmp_path / "started").exists():
        for pid in (tmp_path / "started").read_text().split():
            wait_for(lambda pid=pid: gone(int(pid)))  # type: ignore[misc]
