"""The switch on one host, for real but for nginx: staged, moved on the word, on trial, confirmed or given back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fabfile.commands import traffic
from fabfile.commands.traffic import CALLED_OFF, GO, Front, Trial
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.model.share import Share
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")
FRONT = Front(80, "_", "/api/health", 1.0)
BLUE, GREEN, TENTH = Share("blue"), Share("green"), Share("blue", 10)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A host that serves blue, with a crontab of its own."""
    programs = tmp_path / "bin"
    programs.mkdir()
    crontab = programs / "crontab"
    crontab.write_text(f'#!/bin/sh\nif [ "$1" = -l ]; then cat {tmp_path}/table; else cat > {tmp_path}/table; fi\n')
    crontab.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    found = Paths("shop", base=str(tmp_path), nginx=str(tmp_path / "nginx"))
    Path(found.nginx).mkdir()
    Path(found.state).mkdir(parents=True)
    return found


def switch(
    paths: Paths,
    wanted: Share,
    word: bytes = GO,
    *,
    before: Share = BLUE,
    first: bool = True,
    patience: float = 60,
    lease: float = 60,
) -> str:
    trial = Trial("r1", "switch", first, patience, lease)
    script = traffic.switch(paths, wanted, before, "2.0", FRONT, trial, verify=False)
    return HOST.run(script, stdin=[word]).stdout


def now(paths: Paths) -> str:
    link = Path(paths.traffic)
    return link.readlink().name if link.is_symlink() else ""


def trial(paths: Paths) -> bool:
    return Path(paths.state, "trial").exists()


def soon(true: Callable[[], bool], seconds: float = 8) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def end_watch(paths: Paths) -> None:
    """Let the watching process find nothing to watch."""
    Path(paths.state, "trial").unlink(missing_ok=True)


def test_traffic_moves_on_the_word_and_is_on_trial_with_its_way_back(paths: Paths) -> None:
    assert switch(paths, GREEN).splitlines() == ["ready", "switched"]
    assert now(paths) == "green"
    assert sorted(file.name for file in Path(paths.traffic).iterdir()) == sorted(GREEN.to_green)
    assert trial(paths)
    assert "boot" in (Path(paths.base) / "table").read_text()
    end_watch(paths)


def test_without_the_word_nothing_moves_and_nothing_is_on_trial(paths: Paths) -> None:
    with pytest.raises(RemoteError, match="another host was not ready") as error:
        switch(paths, GREEN, word=b"")
    assert error.value.status == CALLED_OFF
    assert now(paths) == ""
    assert not trial(paths)


def test_a_switch_that_nobody_confirms_is_given_back(paths: Paths) -> None:
    switch(paths, GREEN, patience=1)
    assert soon(lambda: now(paths) == "blue")
    journal = Path(paths.state, "journal.jsonl")
    assert soon(lambda: journal.exists() and "reverted" in journal.read_text())
    assert not trial(paths)
    with pytest.raises(RemoteError, match="took its traffic back"):
        HOST.run(traffic.confirm(paths, "r1", final=True))


@pytest.mark.slow
def test_a_confirmed_switch_stays(paths: Paths) -> None:
    switch(paths, GREEN, patience=1)
    HOST.run(traffic.confirm(paths, "r1", final=True))
    time.sleep(2)
    assert now(paths) == "green"
    assert not Path(f"{paths.traffic}.back").is_symlink()


@pytest.mark.slow
def test_a_canary_lives_as_long_as_somebody_is_heard_of(paths: Paths) -> None:
    switch(paths, TENTH, patience=1, lease=1.6)
    HOST.run(traffic.confirm(paths, "r1", final=False))
    for _ in range(6):
        time.sleep(0.5)
        Path(paths.state, "trial").touch()
    assert now(paths) == "blue-10"
    HOST.run(traffic.on_trial(paths, "r1"))
    assert soon(lambda: now(paths) == "blue")
    with pytest.raises(RemoteError, match="took its traffic back"):
        HOST.run(traffic.on_trial(paths, "r1"))


def watchers(paths: Paths) -> list[int]:
    found = subprocess.run(["pgrep", "-xf", f"bash {paths.state}/deadman r1"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


@pytest.mark.slow
def test_a_later_share_is_watched_though_the_first_ones_watch_was_killed(paths: Paths) -> None:
    switch(paths, TENTH, patience=2)
    assert soon(lambda: len(watchers(paths)) == 1)
    os.kill(watchers(paths)[0], signal.SIGKILL)
    switch(paths, GREEN, first=False)
    assert soon(lambda: now(paths) == "blue")


def test_a_share_that_is_watched_is_watched_once(paths: Paths) -> None:
    switch(paths, TENTH)
    switch(paths, GREEN, first=False)
    time.sleep(0.5)
    assert len(watchers(paths)) == 1
    end_watch(paths)


def test_a_later_share_is_refused_where_the_first_was_given_back(paths: Paths) -> None:
    switch(paths, TENTH, patience=1)
    assert soon(lambda: now(paths) == "blue")
    with pytest.raises(RemoteError, match="took its traffic back"):
        switch(paths, GREEN, first=False)
    assert now(paths) == "blue"


def test_a_host_that_loses_power_on_trial_goes_back_at_boot(paths: Paths) -> None:
    switch(paths, GREEN)
    HOST.run(Script(f"bash {paths.state}/deadman boot\n", timeout=10, mutates=True))
    assert now(paths) == "blue"
    assert not trial(paths)


def test_a_way_back_that_was_cut_off_is_gone_to_its_end_at_boot(paths: Paths) -> None:
    switch(paths, GREEN)
    Path(paths.state, "trial").rename(Path(paths.state, "reverting"))
    HOST.run(Script(f"bash {paths.state}/deadman boot\n", timeout=10, mutates=True))
    assert now(paths) == "blue"
    assert not Path(paths.state, "reverting").exists()


@pytest.mark.slow
def test_a_way_back_that_is_barred_is_tried_again(paths: Paths) -> None:
    switch(paths, GREEN, patience=1)
    # What cannot be replaced by a symlink, whoever tries: root may write to any directory.
    Path(paths.traffic).unlink()
    Path(paths.traffic).mkdir()
    assert soon(lambda: Path(paths.state, "reverting").exists())
    time.sleep(1)
    Path(paths.traffic).rmdir()
    assert soon(lambda: now(paths) == "blue")
    assert soon(lambda: not Path(paths.state, "reverting").exists())


@pytest.mark.parametrize("wanted", [GREEN, TENTH])
def test_taking_back_works_from_wherever_a_switch_stopped_and_twice(paths: Paths, wanted: Share) -> None:
    back = traffic.back(paths, BLUE, "1.0", FRONT, verify=False)
    HOST.run(back)
    switch(paths, wanted)
    HOST.run(back)
    HOST.run(back)
    assert now(paths) == "blue"
    assert not trial(paths)
    assert not Path(f"{paths.traffic}.back").is_symlink()


def test_switching_twice_is_the_same_as_once(paths: Paths) -> None:
    switch(paths, GREEN)
    assert switch(paths, GREEN, word=b"").splitlines() == ["ready", "switched"]
    assert now(paths) == "green"
    end_watch(paths)


def test_the_crontab_keeps_its_other_lines_and_one_of_ours(paths: Paths) -> None:
    table = Path(paths.base) / "table"
    table.write_text("5 * * * * backup\n")
    for wanted in (GREEN, TENTH):
        switch(paths, wanted)
        HOST.run(traffic.back(paths, BLUE, "1.0", FRONT, verify=False))
    lines = table.read_text().splitlines()
    assert lines == ["5 * * * * backup", f"@reboot bash {paths.state}/deadman boot"]


def test_everybody_may_look_the_shares_up(paths: Paths) -> None:
    switch(paths, TENTH)
    share = Path(paths.shares, "blue-10")
    assert (share.stat().st_mode & 0o055, share.parent.stat().st_mode & 0o055) == (0o055, 0o055)
    end_watch(paths)
