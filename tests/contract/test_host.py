"""What every way to reach a host keeps: whole programs, time limits, interrupts, streams whose end means something."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fabfile.errors import BadInput, Interrupted, RemoteError, RemoteTimeout, Unreachable
from fabfile.lab.lab import Lab
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost
from fabfile.remote.port import Host
from fabfile.remote.program import command
from fabfile.remote.ssh import SshHost

PARAMETERS = ["local", pytest.param("ssh", marks=pytest.mark.lab)]


def over_ssh(lab: Lab, name: str = "h1") -> SshHost:
    """A machine of the lab."""
    return SshHost(name, name, "deploy", None, lab.known_hosts, lab.ssh_config, connect_timeout=4)


@pytest.fixture(params=PARAMETERS)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    reached: Host = LocalHost("h1") if request.param == "local" else over_ssh(request.getfixturevalue("lab"))
    yield reached
    reached.close()


@pytest.fixture
def alive(host: Host) -> Callable[[str], bool]:
    """Whether a process with this word in its command line still runs there."""

    def look(word: str) -> bool:
        found = host.run(Script(f"pgrep -f 'sleep {word}[0]' || true", 10)).stdout
        return bool(found.strip())

    return look


def gone(alive: Callable[[str], bool], word: str) -> bool:
    deadline = time.monotonic() + 8
    while alive(word) and time.monotonic() < deadline:
        pass
    return not alive(word)


def test_output_and_errors_come_apart(host: Host) -> None:
    result = host.run(Script("echo out; echo err >&2", 10))
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_a_status_becomes_an_error_with_what_was_said(host: Host) -> None:
    with pytest.raises(RemoteError) as error:
        host.run(Script("echo first >&2; echo second >&2; exit 7", 10))
    assert (error.value.status, error.value.fact, error.value.details) == (7, "h1: first", ("second",))
    assert error.value.hint


def test_a_program_that_is_killed_is_not_called_slow(host: Host) -> None:
    with pytest.raises(RemoteError) as error:
        host.run(Script("bash -c 'kill -KILL $$'", 10))
    assert error.value.status == 137
    assert not isinstance(error.value, RemoteTimeout)


def test_input_arrives_whole_behind_the_program(host: Host) -> None:
    data = bytes(range(256)) * 4096
    result = host.run(Script("wc -c; true", 20, stdin=data))
    assert result.stdout.strip() == str(len(data))
    pieces = host.run(Script("md5sum", 20), iter([data[:5], data[5:100_000], data[100_000:]]))
    assert pieces.stdout == host.run(Script("md5sum", 20, stdin=data)).stdout


def test_a_program_that_reads_no_input_does_not_hang(host: Host) -> None:
    assert host.run(Script("echo done", 20), iter([b"x" * 65536] * 64)).stdout == "done\n"


def test_much_output_on_both_sides_does_not_deadlock(host: Host) -> None:
    script = Script("head -c 3000000 /dev/zero >&2 & head -c 5000000 /dev/zero | tr '\\0' a; wait", 30)
    assert len(host.run(script).stdout) == 5_000_000


def test_an_input_that_fails_ends_the_program_and_is_the_error(host: Host, alive: Callable[[str], bool]) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"some"
        raise BadInput("the source is damaged")

    with pytest.raises(BadInput, match="the source is damaged"):
        host.run(Script("cat > /dev/null; sleep 9110", 30), pieces())
    assert gone(alive, "911")


def test_a_time_out_ends_the_whole_process_group(host: Host, alive: Callable[[str], bool]) -> None:
    begun = time.monotonic()
    with pytest.raises(RemoteTimeout, match="did not end within 1 s"):
        host.run(Script("sleep 9220 & sleep 9220", 1))
    assert time.monotonic() - begun < 10
    assert gone(alive, "922")


def test_an_interrupt_ends_the_whole_process_group(host: Host, alive: Callable[[str], bool]) -> None:
    threading.Timer(0.5, host.interrupt).start()
    with pytest.raises(Interrupted):
        host.run(Script("sleep 9330 & sleep 9330", 60))
    host.resume()
    assert gone(alive, "933")


def test_a_stream_ends_with_an_error_unless_the_program_succeeded(host: Host) -> None:
    received = b""
    with pytest.raises(RemoteError):
        for chunk in host.stream(Script("head -c 300000 /dev/zero; exit 3", 20)):
            received += chunk
    assert len(received) == 300_000
    assert sum(map(len, host.stream(Script("head -c 300000 /dev/zero", 20)))) == 300_000


def test_a_stream_that_is_left_ends_the_program(host: Host, alive: Callable[[str], bool]) -> None:
    stream = host.stream(Script("echo first; exec sleep 9440", 60))
    assert next(iter(stream)) == b"first\n"
    stream.close()  # type: ignore[attr-defined]  # a generator is what both ways return
    assert gone(alive, "944")


def test_several_programs_run_at_the_same_time(host: Host) -> None:
    times: list[tuple[float, float]] = []

    def work() -> None:
        begun, ended = host.run(Script("date +%s.%N; sleep 3; date +%s.%N", 20)).stdout.split()
        times.append((float(begun), float(ended)))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 6
    assert max(begun for begun, _ in times) < min(ended for _, ended in times)


def test_a_program_that_did_not_arrive_whole_is_not_run() -> None:
    cut = subprocess.run(["bash", "-c", command(5)], input=b"echo ran; rm -rf /nowh", capture_output=True)
    assert cut.returncode == 90
    assert b"ran" not in cut.stdout


@pytest.mark.lab
def test_a_cable_that_is_pulled_is_noticed_in_time(lab: Lab) -> None:
    host = over_ssh(lab)
    host.run(Script("true", 5))
    cutter = threading.Timer(0.5, lab.cut, ("h1",), {"drop": True})
    cutter.start()
    begun = time.monotonic()
    try:
        with pytest.raises(Unreachable):
            host.run(Script("sleep 3; echo never seen", 4))
    finally:
        cutter.join()
        lab.heal("h1")
        host.close()
    assert time.monotonic() - begun < 90


@pytest.mark.lab
def test_a_host_that_is_off_is_named_in_time(lab: Lab) -> None:
    lab.cut("h2")
    begun = time.monotonic()
    try:
        with pytest.raises(Unreachable, match="h2: no SSH connection"):
            over_ssh(lab, "h2").run(Script("true", 5))
    finally:
        lab.heal("h2")
    assert time.monotonic() - begun < 15


@pytest.mark.lab
def test_a_port_of_the_host_is_reached_through_it(lab: Lab) -> None:
    host = over_ssh(lab)
    with host.forward("127.0.0.1", 22) as port, socket.create_connection(("127.0.0.1", port), 5) as connection:
        assert connection.recv(4) == b"SSH-"
    host.close()


@pytest.mark.lab
def test_a_connection_that_died_between_two_calls_is_opened_anew(lab: Lab) -> None:
    host = over_ssh(lab)
    host.run(Script("true", 5))
    lab.execute("h1", "bash", "-c", "pkill -f '[s]shd: deploy' || true")
    assert host.run(Script("echo again", 5)).stdout == "again\n"
    host.close()
