"""Every host finishes, every failure is told, and an interrupt reaches what runs on the hosts."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from fabfile.errors import FleetError, Locked, TurnoutError
from fabfile.model.script import Script
from fabfile.remote.fleet import Fleet
from fabfile.remote.local import LocalHost
from fabfile.remote.port import Host
from fabfile.remote.read_only import ReadOnlyHost


def fleet(*names: str) -> Fleet:
    return Fleet({name: LocalHost(name) for name in names})


def test_results_come_by_host() -> None:
    hosts = fleet("h1", "h2", "h3")
    found = hosts.each(hosts.hosts, lambda host: host.run(Script("echo ok", 5)).stdout)
    assert found == {"h1": "ok\n", "h2": "ok\n", "h3": "ok\n"}


def test_all_hosts_finish_and_all_failures_are_told(tmp_path: Path) -> None:
    def work(host: Host) -> None:
        if host.name != "h2":
            raise TurnoutError(f"{host.name}: broken")
        host.run(Script(f"sleep 0.3; touch {tmp_path}/h2", 5))

    with pytest.raises(FleetError) as error:
        fleet("h1", "h2", "h3").each(("h1", "h2", "h3"), work)
    assert [failure.fact for failure in error.value.failures] == ["h1: broken", "h3: broken"]
    assert (tmp_path / "h2").exists()


def test_one_failure_speaks_for_itself() -> None:
    def work(host: Host) -> None:
        raise Locked("h1 is locked", "wait")

    with pytest.raises(FleetError) as error:
        fleet("h1").each(("h1",), work)
    assert (error.value.fact, error.value.hint, error.value.code) == ("h1 is locked", "wait", 4)


def test_ctrl_c_ends_what_runs_on_the_hosts(tmp_path: Path) -> None:
    hosts = fleet("h1", "h2")
    script = Script(f"sleep 0.4; touch {tmp_path}/$$; sleep 60; touch {tmp_path}/never", 120)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        hosts.each(("h1", "h2"), lambda host: host.run(script))
    assert time.monotonic() - begun < 10
    assert hosts.each(("h1",), lambda host: host.run(Script("echo again", 5)).stdout) == {"h1": "again\n"}
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_host_refuses_what_changes_something() -> None:
    host = ReadOnlyHost(LocalHost("h1"))
    assert host.run(Script("echo look", 5)).stdout == "look\n"
    with pytest.raises(TurnoutError, match="tried to change"):
        host.run(Script("rm -rf /nothing", 5, mutates=True))


def two_phase(name: str, ready: bool = True) -> Script:
    body = "echo ready\nread -r go || exit 76\necho done\n" if ready else "echo no space left >&2\nexit 1\n"
    return Script(f"# {name}\n{body}", timeout=20, mutates=True)


def test_the_word_goes_out_only_when_every_host_is_ready() -> None:
    names = [f"h{number}" for number in range(1, 41)]
    fleet = Fleet({name: LocalHost(name) for name in names})
    seconds = fleet.together({name: two_phase(name) for name in names}, b"ready\n", b"go\n", b"done\n")
    assert seconds > 0


def test_a_host_that_is_not_ready_keeps_all_others_from_acting_and_is_the_one_that_is_named() -> None:
    fleet = Fleet({name: LocalHost(name) for name in ("h1", "h2", "h3")})
    scripts = {name: two_phase(name, ready=name != "h3") for name in ("h1", "h2", "h3")}
    with pytest.raises(FleetError, match="h3: no space left") as error:
        fleet.together(scripts, b"ready\n", b"go\n", b"done\n")
    assert [getattr(failure, "status", None) for failure in error.value.failures] == [1, 76, 76]
