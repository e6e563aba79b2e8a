"""What starts jobs by the clock: installed whole, again without harm, and taken away without a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fabfile.commands.timetable import Place, announcing, jobs
from fabfile.errors import BadInput, Refused, TurnoutError
from fabfile.remote.scheduler import Cron, Systemd, scheduler, take_away, write

PLACE = Place("shop", "eu", "/opt/python", "/opt/shop", "/etc/shop.env", "/var/log/shop.log")
JOBS = jobs(21600)
CRONTAB = """#!/bin/sh
file=${0%/*}/table
case "$1" in
  -l) [ -f "$file" ] || { echo "no crontab for somebody" >&2; exit 1; }; cat "$file" ;;
  -r) rm "$file" ;;
  -) cat >"$file" ;;
esac
"""
SYSTEMCTL = """#!/bin/sh
echo "$*" >>"${0%/*}/said"
case "$*" in *restart*) [ ! -f "${0%/*}/broken" ] || { echo "no such thing" >&2; exit 5; } ;; esac
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of stand-ins for crontab and systemctl, first on the PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, text in (("crontab", CRONTAB), ("systemctl", SYSTEMCTL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def systemd(tmp_path: Path, programs: Path) -> Systemd:
    return Systemd(tmp_path / "units", tmp_path / "private", False, tmp_path)


@pytest.fixture
def cron(tmp_path: Path, programs: Path) -> Cron:
    return Cron(tmp_path / "private", tmp_path / "logs", tmp_path / "proc")


def test_systemd_is_taken_where_it_runs_and_cron_where_it_does_not(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scheduler(tmp_path).kind == "cron"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert scheduler(tmp_path).kind.startswith("systemd")
    (tmp_path / "run/systemd/system").rmdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="no crontab"):
        scheduler(tmp_path)


def test_units_are_installed_started_and_again_without_a_difference(systemd: Systemd, programs: Path) -> None:
    texts = systemd.wanted(JOBS, PLACE, 600)
    for _ in range(2):
        systemd.install(PLACE.name, texts)
        assert systemd.present(PLACE.name) == texts
    timers = "turnout-shop_eu_backup.timer turnout-shop_eu_maintain.timer"
    said = (programs / "said").read_text().splitlines()
    assert said[:3] == [
        f"--no-ask-password {words}" for words in ("daemon-reload", f"enable {timers}", f"restart {timers}")
    ]
    assert {Path(path).stat().st_mode & 0o777 for path in texts} == {0o644}


def test_units_are_stopped_before_they_are_taken_away(systemd: Systemd, programs: Path, tmp_path: Path) -> None:
    systemd.install(PLACE.name, systemd.wanted(JOBS, PLACE, 600))
    (programs / "said").unlink()
    for _ in range(2):
        systemd.remove(PLACE.name)
        assert list((tmp_path / "units").iterdir()) == []
    said = (programs / "said").read_text().splitlines()
    assert said[0].startswith("--no-ask-password disable --now turnout-shop_eu_backup.timer")
    assert said[-1] == "--no-ask-password daemon-reload"


def test_a_job_that_is_not_wanted_any_more_is_stopped(systemd: Systemd, programs: Path) -> None:
    systemd.install(PLACE.name, systemd.wanted([*JOBS, announcing()], PLACE, 600))
    (programs / "said").unlink()
    texts = systemd.wanted(JOBS, PLACE, 600)
    systemd.install(PLACE.name, texts)
    assert systemd.present(PLACE.name) == texts
    said = (programs / "said").read_text().splitlines()
    assert said[0] == "--no-ask-password disable --now turnout-shop_eu_announce.timer"


def test_an_environment_whose_name_begins_alike_is_left_alone(systemd: Systemd) -> None:
    other = Place("shop", "eu-backup", "/p", "/q", "/r")
    neighbour = systemd.wanted(JOBS, other, 600)
    systemd.install(other.name, neighbour)
    systemd.install(PLACE.name, systemd.wanted(JOBS, PLACE, 600))
    systemd.remove(PLACE.name)
    assert systemd.present(other.name) == neighbour


def test_what_systemctl_refuses_is_told_in_its_words_and_can_be_repeated(systemd: Systemd, programs: Path) -> None:
    (programs / "broken").touch()
    with pytest.raises(TurnoutError, match=r"restart .* ended with status 5") as caught:
        systemd.install(PLACE.name, systemd.wanted(JOBS, PLACE, 600))
    assert caught.value.details == ("no such thing",)
    (programs / "broken").unlink()
    systemd.install(PLACE.name, systemd.wanted(JOBS, PLACE, 600))


def test_a_users_timers_are_refused_where_they_would_end_with_the_session(tmp_path: Path, programs: Path) -> None:
    user = Systemd(tmp_path / "units", tmp_path / "private", True, tmp_path / "linger")
    with pytest.raises(Refused) as caught:
        user.wanted(JOBS, PLACE, 600)
    assert caught.value.hint.startswith("sudo loginctl enable-linger ")
    (tmp_path / "linger").mkdir()
    (tmp_path / "linger" / caught.value.hint.split()[-1]).touch()
    user.install(PLACE.name, user.wanted(JOBS, PLACE, 600))
    assert "--user --no-ask-password daemon-reload" in (programs / "said").read_text()


def test_a_crontab_keeps_the_lines_of_others(cron: Cron, programs: Path) -> None:
    others = "# mine\n5 4 * * * something\n"
    (programs / "table").write_text(others)
    texts = cron.wanted(JOBS, PLACE, 0)
    for _ in range(2):
        cron.install(PLACE.name, texts)
        assert cron.present(PLACE.name) == texts
        assert (programs / "table").read_text() == others + "".join(texts.values())
    for _ in range(2):
        cron.remove(PLACE.name)
        assert (programs / "table").read_text() == others
    assert cron.present(PLACE.name) == {}


def test_a_crontab_of_ours_alone_is_removed_with_its_logs(cron: Cron, programs: Path, tmp_path: Path) -> None:
    cron.install(PLACE.name, cron.wanted(JOBS, PLACE, 0))
    log = cron.log(PLACE.name)
    assert log == tmp_path / "logs" / "turnout-shop_eu.log"
    assert log.parent.stat().st_mode & 0o777 == 0o700
    for path in (log, log.with_name("turnout-shop_eu.log.1")):
        path.write_text("old")
    cron.remove(PLACE.name)
    assert not (programs / "table").exists()
    assert not log.parent.exists()


def test_a_broken_block_is_left_to_its_owner(cron: Cron, programs: Path) -> None:
    cron.install(PLACE.name, cron.wanted(JOBS, PLACE, 0))
    lines = (programs / "table").read_text().splitlines()[:-1]
    (programs / "table").write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match="stands alone"):
        cron.remove(PLACE.name)
    assert (programs / "table").read_text().splitlines() == lines


def test_a_machine_without_a_cron_daemon_is_warned_of(cron: Cron, tmp_path: Path) -> None:
    assert "no cron daemon" in cron.warnings()[0]
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "comm").write_text("cron\n")
    assert cron.warnings() == []


def test_a_file_is_replaced_whole_and_private_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".file.new").write_text("left by a power cut")
    (tmp_path / "new" / ".file.new").chmod(0o644)
    write(path, "one", 0o600)
    write(path, "two", 0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    take_away(path, path)
    assert not path.parent.exists()
    (tmp_path / "new").write_text("in the way")
    with pytest.raises(TurnoutError, match="cannot be written"):
        write(path, "three", 0o600)
