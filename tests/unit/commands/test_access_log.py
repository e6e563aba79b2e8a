"""The access log on a real file system: every line counted once, through rotations, and nothing lost in silence."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fabfile.commands import access_log
from fabfile.commands.shell import PREAMBLE
from fabfile.model.traffic import Position, Reading, Tally
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")
HEALTH = "/api/health"
AWKS = ("mawk", "gawk")


def line(
    path: str = "/api/x",
    slot: str = "blue",
    status: int = 200,
    upstream: str = "200",
    seconds: str = "0.012",
    kind: str = "application/json",
) -> str:
    """One line as nginx writes it: keys in this order, untrusted values escaped and last."""
    values = {
        "at": 1763712000.123,
        "slot": slot,
        "status": status,
        "upstream_status": upstream,
        "upstream_seconds": seconds,
        "seconds": 0.013,
        "bytes": 512,
        "type": kind,
        "method": "GET",
        "path": path,
    }
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A name as awkward as a file's name may be."""
    return tmp_path / "it's [shop] $1.access.json"


@pytest.fixture(params=[awk for awk in AWKS if shutil.which(awk)])
def awk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory in which `awk` is one of those that this machine has."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "awk").symlink_to(str(shutil.which(request.param)))
    yield directory


def mark(log: Path) -> Position:
    return access_log.parse_mark(HOST.run(access_log.mark(str(log))).stdout)


def tally(log: Path, since: Position, limit: int = access_log.LIMIT, awk: Path | None = None) -> Reading:
    script = access_log.tally(str(log), since, HEALTH, limit)
    if awk:
        script = replace(script, text=f"PATH={awk}:$PATH\n{script.text}")
    assert not script.mutates
    return access_log.parse(HOST.run(script).stdout)


def append(log: Path, *lines: str) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.writelines(lines)


def blue(reading: Reading) -> Tally:
    return reading.tallies["blue"]


def test_only_what_came_after_the_mark_is_counted_for_the_slot_that_got_it(log: Path, awk: Path) -> None:
    append(log, line(), line(status=500, upstream="500"))
    since = mark(log)
    append(log, line(), line(slot="green", upstream="503", status=503, seconds="0.100"), line(seconds="0.012"))
    reading = tally(log, since, awk=awk)
    assert reading.tallies == {"blue": Tally(2, 0, {12: 2}), "green": Tally(1, 1, {100: 1})}
    assert (reading.lines, reading.notes) == (3, ())
    assert reading.position == Position(log.stat().st_ino, log.stat().st_size)
    assert tally(log, reading.position).lines == 0


@pytest.mark.parametrize(
    ("upstream", "seconds", "status", "expected"),
    [
        ("502, 200", "0.002, 0.030", 200, Tally(1, 1, {2: 1})),
        ("200, 502", "0.030, 0.002", 502, Tally(1, 0, {30: 1})),
        ("502 : 200", "0.004 : 0.001", 200, Tally(1, 1, {4: 1})),
        ("404 : 502, 200", "0.004 : 0.001, 0.002", 200, Tally(1, 0, {4: 1})),
        ("504", "60.001", 504, Tally(1, 1, {60000: 1})),
        ("200", "1.239", 200, Tally(1, 0, {1230: 1})),
        ("200", "0.999", 200, Tally(1, 0, {999: 1})),
        ("200", "0.000", 200, Tally(1, 0, {0: 1})),
        ("200", "-", 200, Tally(1, 0, {})),
        ("-", "-", 502, Tally(1, 1, {})),
        ("-", "0.003", 200, Tally(1, 0, {3: 1})),
        ("", "", 503, Tally()),
    ],
)
def test_the_first_attempt_counts(
    log: Path, awk: Path, upstream: str, seconds: str, status: int, expected: Tally
) -> None:
    append(log, line(upstream=upstream, seconds=seconds, status=status))
    reading = tally(log, Position(0, 0), awk=awk)
    assert blue(reading) == expected
    assert reading.notes == ()


def test_upgrades_lost_clients_event_streams_and_probes_are_left_out(log: Path, awk: Path) -> None:
    append(
        log,
        line(status=101, upstream="101"),
        line(status=499, upstream="-"),
        line(kind="text/event-stream"),
        line(kind="text/event-stream; charset=utf-8"),
        line(path=HEALTH),
    )
    kept = [line(path=HEALTH + "/more"), line(path="/x" + HEALTH), line(kind="text/plain"), line(status=401)]
    append(log, *kept)
    reading = tally(log, Position(0, 0), awk=awk)
    assert (blue(reading).requests, reading.lines) == (len(kept), len(kept) + 5)


@pytest.mark.parametrize(
    "hostile",
    [
        '"}',
        '","path":"/api/health"}',
        '"type":"text/event-stream',
        '"slot":"green","status":200,"upstream_status":"500"',
        "\\",
        '\\"}',
        "{}[]'$(touch x)`;\t\u2028é",
        '"' * 8000,
        '"' * 70000,
    ],
)
def test_what_a_client_writes_changes_nothing_but_its_own_path(log: Path, awk: Path, hostile: str) -> None:
    append(log, line(path="/" + hostile), line(kind=hostile), line(path=hostile, kind=hostile))
    reading = tally(log, Position(0, 0), awk=awk)
    assert reading.tallies == {"blue": Tally(3, 0, {12: 3}), "green": Tally()}
    assert (reading.lines, reading.notes) == (3, ())
    assert sorted(entry.name for entry in log.parent.iterdir()) == ["bin", log.name]


def test_a_line_is_counted_when_it_is_whole(log: Path, awk: Path) -> None:
    whole = line(path='/x\\"}')
    append(log, line())
    for half in range(1, len(whole), 40):
        log.write_text(line() + whole[:half])
        reading = tally(log, Position(0, 0), awk=awk)
        assert reading.lines == 1
        assert mark(log) == reading.position
        append(log, whole[half:])
        assert tally(log, reading.position, awk=awk).lines == 1


def test_a_log_that_begins_with_half_a_line_has_nothing_to_count(log: Path) -> None:
    append(log, line()[:30])
    assert mark(log) == Position(log.stat().st_ino, 0)
    assert tally(log, Position(0, 0)).lines == 0


def test_a_log_that_is_not_there_yet_is_read_from_its_start(log: Path) -> None:
    since = mark(log)
    assert since == Position(0, 0)
    empty = tally(log, since)
    assert empty == Reading(since, {"blue": Tally(), "green": Tally()}, 0, ())
    append(log, line())
    assert tally(log, empty.position).lines == 1


def test_a_rotation_loses_no_line_and_counts_none_twice(log: Path, awk: Path) -> None:
    append(log, line())
    since = mark(log)
    append(log, line())
    rotated = log.with_name(log.name + ".1")
    log.rename(rotated)
    append(rotated, line())
    append(log, line(), line())
    reading = tally(log, since, awk=awk)
    assert (reading.lines, reading.notes) == (4, ())
    assert reading.position == Position(log.stat().st_ino, log.stat().st_size)


def test_until_nginx_opens_the_new_file_the_old_one_is_followed(log: Path) -> None:
    append(log, line())
    rotated = log.with_name(log.name + ".1")
    since = mark(log)
    log.rename(rotated)
    between = tally(log, since)
    assert between.lines == 0
    log.touch()
    append(rotated, line())
    between = tally(log, between.position)
    assert (between.lines, between.position.inode) == (1, rotated.stat().st_ino)
    append(rotated, line())
    append(log, line())
    after = tally(log, between.position)
    assert (after.lines, after.position.inode) == (2, log.stat().st_ino)
    assert between.notes == after.notes == ()


@pytest.mark.parametrize("names", [(".2", ".1"), ("-20251120", "-20251121")])
def test_two_rotations_between_two_looks_are_followed(log: Path, names: tuple[str, str]) -> None:
    since = mark(log)
    append(log, line())
    since = mark(log)
    for age, name in enumerate(names):
        append(log, line(), line())
        os.utime(log, (1763712000 + age, 1763712000 + age))
        log.rename(log.with_name(log.name + name))
    append(log, line())
    reading = tally(log, since)
    assert (reading.lines, reading.notes) == (5, ())


@pytest.mark.parametrize("compressed", [True, False])
def test_a_rotated_file_that_is_gone_is_told(log: Path, compressed: bool) -> None:
    append(log, line())
    since = mark(log)
    append(log, line())
    # Keep the inode, or the new log might get it.
    os.link(log, log.with_name("kept"))
    log.rename(log.with_name(log.name + ".1.gz"))
    if not compressed:
        log.with_name(log.name + ".1.gz").unlink()
    append(log, line())
    reading = tally(log, since)
    assert reading.lines == 1
    assert len(reading.notes) == 1
    assert "compressed or removed" in reading.notes[0]
    assert tally(log, reading.position).notes == ()


def test_a_log_that_is_gone_altogether_is_told(log: Path) -> None:
    append(log, line())
    since = mark(log)
    log.unlink()
    reading = tally(log, since)
    assert (reading.lines, reading.position) == (0, Position(0, 0))
    assert "compressed or removed" in reading.notes[0]


@pytest.mark.parametrize("grown", [1, 50])
def test_a_truncated_log_is_told_and_read_from_its_start(log: Path, grown: int) -> None:
    append(log, *[line()] * 10)
    since = mark(log)
    os.truncate(log, 0)
    append(log, *[line(path="/another/length")] * grown)
    reading = tally(log, since)
    assert reading.lines == grown
    assert len(reading.notes) == 1
    assert "cut" in reading.notes[0]


@pytest.mark.parametrize("whole_lines", [True, False])
def test_of_more_than_the_limit_the_newest_lines_are_read_and_the_rest_is_told(
    log: Path, awk: Path, whole_lines: bool
) -> None:
    append(log, *[line(slot="green")] * 90, *[line()] * 10)
    size = len(line().encode())
    limit = 10 * size + (0 if whole_lines else size // 2)
    reading = tally(log, Position(0, 0), limit, awk)
    assert reading.tallies == {"blue": Tally(10, 0, {12: 10}), "green": Tally()}
    assert reading.notes == (
        f"only the newest {limit} bytes of {log} were read; {log.stat().st_size - limit} bytes before them are not "
        "counted",
    )
    assert tally(log, reading.position).notes == ()


def test_the_limit_holds_across_a_rotation(log: Path) -> None:
    append(log, line())
    since = mark(log)
    append(log, *[line(slot="green")] * 20, line(), line())
    log.rename(log.with_name(log.name + ".1"))
    append(log, *[line()] * 3)
    reading = tally(log, since, limit=5 * len(line().encode()))
    assert (reading.lines, blue(reading).requests) == (5, 5)
    assert tally(log, since, limit=len(line().encode())).lines == 1


def test_lines_of_another_form_are_counted_and_told(log: Path, awk: Path) -> None:
    other = '127.0.0.1 - - [21/Nov/2025:08:00:00 +0000] "GET / HTTP/1.1" 500 1 "-" "curl"\n'
    append(log, other, line(slot="shop-blue"), "\n", "\0\0\0\n", line())
    reading = tally(log, Position(0, 0), awk=awk)
    assert (reading.lines, blue(reading).requests) == (5, 1)
    assert reading.notes == ("4 lines are not in the form that this release writes, and are not counted",)
    assert reading.position.offset == log.stat().st_size


def test_many_different_latencies_make_a_short_answer(log: Path) -> None:
    append(log, *[line(seconds=f"{ms / 1000:.3f}") for ms in range(0, 100_000, 7)])
    times = blue(tally(log, Position(0, 0))).latencies
    assert sum(times.values()) == 14_286
    assert len(times) < 2000


@pytest.mark.parametrize("closed", ["log/site.json", "log"])
def test_a_log_that_may_not_be_read_is_told_with_its_remedy(closed: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        log = directory / "log" / "site.json"
        log.parent.mkdir()
        append(log, line())
        (directory / closed).chmod(0)
        script = access_log.mark(str(log))
        # Root may read everything, so it becomes nobody.
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        program = [*nobody, "bash", "-c", PREAMBLE + script.library + script.text]
        result = subprocess.run(program, capture_output=True, text=True)
        (directory / closed).chmod(0o700)
    assert result.returncode == 1
    assert f"{directory / closed} cannot be read by" in result.stderr
    assert "usermod -aG" in result.stderr


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "complete",
        "position 1 2\nlines 0\nslot blue 0 0\nslot green 0 0\n",
        "position 1 2\nlines 0\nslot blue 0 0\ncomplete\n",
        "position 1 2\nlines 0\nslot blue 0 0\nslot red 0 0\ncomplete\n",
        "position 1\nlines 0\nslot blue 0 0\nslot green 0 0\ncomplete\n",
        "position 1 2\nlines 0\nslot blue 0\nslot green 0 0\ncomplete\n",
        "position 1 2\nlines 0\nslot blue 0 0 12\nslot green 0 0\ncomplete\n",
        "position 1 2\nlines 0\nslot\nslot green 0 0\ncomplete\n",
    ],
)
def test_an_answer_that_was_cut_is_refused(answer: str) -> None:
    with pytest.raises(ValueError):
        access_log.parse(answer)
