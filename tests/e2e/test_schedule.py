"""Backups by the clock, on real hosts: by cron with the barest of environments, and as systemd starts them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabfile.commands.timetable import Place, environment_file, jobs, service, timer
from fabfile.lab.lab import Lab
from tests.e2e.project import Project
from tests.listener import Heard, listening
from tests.unit.remote.test_scheduler import CRONTAB

pytestmark = pytest.mark.lab

STAND_IN = """#!/bin/sh
{ pwd; printf '%s\\n' "$*" "$TOLD"; umask; } >/run/told
"""


def connected(project: Project) -> bool:
    """Whether anybody is logged in on the host whose lease is taken first."""
    return bool(project.lab.execute("h1", "sh", "-c", "pgrep -u deploy -x sshd || true").strip())


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture
def heard() -> Iterator[Heard]:
    with listening() as found:
        yield found


@pytest.fixture
def line(project: Project, first: str, heard: Heard, tmp_path: Path) -> Iterator[str]:
    """What cron would start for a backup, from the crontab that `inv backup.schedule` has written."""
    if Path("/run/systemd/system").is_dir():
        pytest.skip("would touch this machine's own systemd")
    (tmp_path / "crontab").write_text(CRONTAB)
    (tmp_path / "crontab").chmod(0o755)
    backup = {"bucket": "backups", "prefix": "clock", "endpoint": "env:S3_ENDPOINT", "schedule": {"ping": "env:PING"}}
    project.configure(backup=backup)
    before = dict(project.environment)
    path = f"{tmp_path}:{before['PATH']}"
    project.environment.update({"PATH": path, "HOME": str(tmp_path), "PING": heard.url("/u-u-i-d")})
    try:
        project.inv("backup.schedule")
        [found] = [text for text in (tmp_path / "table").read_text().splitlines() if "backup.scheduled backup" in text]
        yield found.split(maxsplit=5)[5]
        project.inv("backup.schedule", "--remove")
        assert not (tmp_path / "table").exists()
    finally:
        project.environment.clear()
        project.environment.update(before)
        project.configure()


def test_a_backup_by_the_clock_waits_for_the_lock_needs_no_variable_and_is_pinged(
    project: Project, line: str, heard: Heard, tmp_path: Path
) -> None:
    project.inv("lock.acquire", "--reason=a long deploy")
    until(lambda: not connected(project))
    striking = subprocess.Popen(["env", "-i", "/bin/sh", "-c", line], cwd="/")
    try:
        until(lambda: connected(project) or striking.poll() is not None)
        with pytest.raises(subprocess.TimeoutExpired):
            striking.wait(10)
        assert project.inv("backup.list", "--json").document == []
        project.inv("lock.release", "--yes")
        assert striking.wait(120) == 0
    finally:
        striking.kill()
        striking.wait()
    log = (tmp_path / ".local/state/turnout/turnout-small_test.log").read_text()
    assert "for: a long deploy" in log
    assert "waiting up to 10800 s" in log
    assert heard.requests == ["GET /u-u-i-d"]
    [point] = project.inv("backup.list", "--json").document
    assert (point["kind"], point["reason"]) == ("full", "scheduled")
    check = project.inv("backup.check", expect=1)
    assert check.out.startswith("the newest backup, 1, is 0.0 h old, the limit is 12.0 h; there is no verified backup")
    project.inv("backup.create-db")
    project.inv("backup.scheduled", "maintain")
    assert "the newest verified backup, 1, is" in project.inv("backup.check").out


def test_systemd_starts_what_the_units_say(lab: Lab) -> None:
    place = Place("shop", "eu", "/opt/our shop/python", "/opt/our shop", "/etc/turnout.env")
    told = 'a "$quoted" `value` with a \\ and\ntwo lines'
    [job, _] = jobs(21600)
    unit = f"{place.name}_{job.name}"
    files = {
        f"/etc/systemd/system/{unit}.service": service(job, place, system=True),
        f"/etc/systemd/system/{unit}.timer": timer(job, place, 600),
        place.variables: environment_file({"TOLD": told}),
        place.python: STAND_IN,
    }
    try:
        lab.execute("h1", "mkdir", "-p", place.project)
        for path, text in files.items():
            lab.execute("h1", "sh", "-c", 'cat >"$1"', "sh", path, text=text)
        lab.execute("h1", "chmod", "755", place.python)
        lab.execute("h1", "systemctl", "daemon-reload")
        lab.execute("h1", "systemctl", "enable", "--now", f"{unit}.timer")
        shown = lab.execute("h1", "systemctl", "show", f"{unit}.timer", "-p", "NextElapseUSecRealtime", "--value")
        assert shown.strip()
        lab.execute("h1", "systemctl", "start", f"{unit}.service")
        lines = lab.execute("h1", "cat", "/run/told").strip()
        assert lines == f"{place.project}\n-m invoke backup.scheduled backup --env=eu\n{told}\n0077"
    finally:
        lab.execute("h1", "systemctl", "disable", "--now", f"{unit}.timer")
        lab.execute("h1", "rm", "-rf", *files, place.project, "/run/told")
        lab.execute("h1", "systemctl", "daemon-reload")
    assert unit not in lab.execute("h1", "systemctl", "list-timers", "--all")
