"""Jobs as units and crontab lines: evenly through the day, and in words that sh, cron and systemd read alike."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.commands.timetable import (
    DAY,
    Job,
    Place,
    announcing,
    calendar,
    command_line,
    crontab_block,
    crontab_parts,
    crontab_times,
    environment_file,
    jobs,
    service,
    spread,
    timer,
    unfit,
)
from fabfile.config.values import INTERVALS

PLACE = Place("shop", "eu-1", "/opt/our shop/.venv/bin/python", "/opt/our shop", "/etc/turnout/shop.env")
LOGGED = replace(PLACE, log="/root/shop.log")
BACKUP, MAINTAIN = jobs(21600)
HAS_SYSTEMD = shutil.which("systemd-analyze") is not None


def listed(field: str, everything: int) -> list[int]:
    return list(range(everything)) if field == "*" else [int(number) for number in field.split(",")]


def minutes_of(hours: str, minutes: str) -> list[int]:
    return sorted(60 * hour + minute for hour in listed(hours, 24) for minute in listed(minutes, 60))


@given(st.sampled_from(INTERVALS), st.integers(0, 5000))
def test_a_backup_comes_at_even_times_of_every_day_for_cron_and_systemd_alike(every: int, first: int) -> None:
    backup, maintain = jobs(every, first)
    step = every // 60
    assert [(minute - backup.times[0]) % DAY for minute in backup.times] == list(range(0, DAY, step))
    assert 0 < (maintain.times[0] - backup.times[0]) % step <= 120
    for job in (backup, maintain):
        minute, hour, *rest = crontab_times(job.times).split()
        assert rest == ["*", "*", "*"]
        assert minutes_of(hour, minute) == list(job.times)
        written = re.fullmatch(r"\*-\*-\* ([0-9,]+):([0-9,]+):00 UTC", calendar(job.times))
        assert written
        assert minutes_of(written[1], written[2]) == list(job.times)


def test_times_that_no_one_expression_has_are_no_expression() -> None:
    with pytest.raises(ValueError, match="no one expression"):
        calendar((0, 90))


@given(st.floats(0.001, 86400), st.text(max_size=20))
def test_a_spread_is_always_the_same_and_below_the_jitter(jitter: float, machine: str) -> None:
    minutes = spread(jitter, "turnout-shop_eu-1", machine)
    assert minutes == spread(jitter, "turnout-shop_eu-1", machine)
    assert 0 <= minutes < max(1, jitter / 60)


def test_machines_begin_at_different_minutes() -> None:
    assert len({spread(3600, "turnout-shop_eu-1", f"host{number}") for number in range(20)}) > 5


def test_the_units_by_value() -> None:
    assert service(BACKUP, PLACE, system=True) == (
        "[Unit]\n"
        "Description=Turnout: a backup, of shop in eu-1\n"
        "Wants=network-online.target\n"
        "After=network-online.target\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "WorkingDirectory=/opt/our shop\n"
        "EnvironmentFile=/etc/turnout/shop.env\n"
        "ExecStart='/opt/our shop/.venv/bin/python' -m invoke backup.scheduled backup --env=eu-1\n"
        "UMask=0077\n"
        "KillMode=mixed\n"
        "TimeoutStopSec=2min\n"
    )
    assert "network" not in service(BACKUP, PLACE, system=False)
    assert timer(BACKUP, PLACE, 600) == (
        "[Unit]\n"
        "Description=Turnout: the times for a backup, of shop in eu-1\n"
        "\n"
        "[Timer]\n"
        "OnCalendar=*-*-* 00,06,12,18:00:00 UTC\n"
        "RandomizedDelaySec=600s\n"
        "Persistent=true\n"
        "\n"
        "[Install]\n"
        "WantedBy=timers.target\n"
    )


def test_the_crontab_by_value() -> None:
    line = (
        "umask 077; exec >>/root/shop.log 2>&1; cd '/opt/our shop' && set -a && . /etc/turnout/shop.env && "
        "exec '/opt/our shop/.venv/bin/python' -m invoke backup.scheduled {} --env=eu-1 --log=/root/shop.log"
    )
    assert crontab_block([BACKUP, MAINTAIN], LOGGED).splitlines() == [
        "# turnout-shop_eu-1: begin (inv backup.schedule; --remove takes it away)",
        f"0 0,6,12,18 * * * {line.format('backup')}",
        f"0 2 * * * {line.format('maintain')}",
        "# turnout-shop_eu-1: end",
    ]


LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40)


@given(st.lists(LINE), st.lists(LINE))
def test_the_lines_of_others_stay_as_they_are(before: list[str], after: list[str]) -> None:
    ours, neighbour = crontab_block([BACKUP], LOGGED), crontab_block([BACKUP], replace(LOGGED, environment="eu"))
    others = "".join(f"{line}\n" for line in [*before, *neighbour.splitlines(), *after])
    assert crontab_parts(others, PLACE.name) == (others, "")
    assert crontab_parts(ours + others, PLACE.name) == (others, ours)
    assert crontab_parts(others + ours, PLACE.name) == (others, ours)


@pytest.mark.parametrize("lost", [0, 2])
def test_a_block_whose_frame_is_broken_is_not_guessed_at(lost: int) -> None:
    lines = crontab_block([BACKUP], LOGGED).splitlines()
    del lines[lost]
    with pytest.raises(ValueError, match="stands alone"):
        crontab_parts("\n".join(lines), PLACE.name)


VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(st.dictionaries(st.from_regex(r"T_[A-Z0-9_]{1,10}", fullmatch=True), VALUE, min_size=1, max_size=4))
def test_sh_reads_every_value_of_the_environment_file_as_it_was(values: dict[str, str]) -> None:
    named = " ".join('"$' + name + '"' for name in sorted(values))
    script = f"{environment_file(values)}printf '%s\\0' {named}"
    done = subprocess.run(["/bin/sh"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == [values[name] for name in sorted(values)]


def test_the_line_of_a_crontab_needs_no_variable_and_keeps_its_log_private(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$PWD $TOLD $*"\n')
    python.chmod(0o755)
    variables, log = tmp_path / "variables", tmp_path / "log"
    variables.write_text(environment_file({"TOLD": "$5"}))
    place = Place("shop", "eu-1", str(python), str(tmp_path), str(variables), str(log))
    subprocess.run(["env", "-i", "/bin/sh", "-c", command_line(BACKUP, place)], check=True)
    assert log.read_text() == f"{tmp_path} $5 -m invoke backup.scheduled backup --env=eu-1 --log={log}\n"
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("character", ["%", "$", "'", '"', "\\", "\n", "`", "*"])
def test_a_path_that_one_of_them_would_misread_is_known(character: str) -> None:
    assert unfit(f"/opt/a{character}b") == character
    assert unfit("/opt/our shop/.venv-3.11/bin/python") is None


@pytest.mark.skipif(not HAS_SYSTEMD, reason="systemd-analyze is not here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    place = replace(PLACE, python="/bin/sh", project="/", variables="/dev/null")
    for job in jobs(21600):
        for ending, text in ((".service", service(job, place, system=True)), (".timer", timer(job, place, 600))):
            (tmp_path / f"{place.name}_{job.name}{ending}").write_text(text)
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60)
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or place.name in line] == []


@pytest.mark.skipif(not HAS_SYSTEMD, reason="systemd-analyze is not here")
@pytest.mark.parametrize("every", INTERVALS)
def test_systemd_counts_the_same_times(every: int) -> None:
    [backup, _] = jobs(every, 7)
    words = ["systemd-analyze", "calendar", f"--iterations={len(backup.times)}", calendar(backup.times)]
    done = subprocess.run(words, capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"}, check=True)
    found = {60 * int(hour) + int(minute) for hour, minute in re.findall(r" (\d\d):(\d\d):00 UTC", done.stdout)}
    assert found == set(backup.times)


def test_a_job_has_times_of_the_day_only() -> None:
    for job in (*jobs(900, 899), *jobs(86400, 1439)):
        assert isinstance(job, Job)
        assert all(0 <= minute < DAY for minute in job.times)


def test_news_of_maintenance_are_looked_for_every_quarter_of_an_hour() -> None:
    times = announcing(22).times
    assert crontab_times(times) == "7,22,37,52 * * * *"
    assert calendar(times).endswith(":07,22,37,52:00 UTC")
    assert crontab_times(announcing().times) == "0,15,30,45 * * * *"
