"""When jobs run and what they run, as text: systemd units, a crontab's block, and the environment file of both."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fabfile.commands.shell import words

DAY = 1440
"""Minutes."""
QUARTER = 15
AFTER = 120
"""Minutes from a backup to the daily maintenance, at most: that backup is to be there, and not hours old."""


@dataclass(frozen=True)
class Job:
    """Something done at the same minutes of every day; its name is the word after `inv backup.scheduled`."""

    name: str
    title: str
    times: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """What jobs start and where they find it: absolute paths, and the application and environment they are for."""

    app: str
    environment: str
    python: str
    project: str
    variables: str
    log: str | None = None
    """Where output goes; None: to the journal."""

    @property
    def name(self) -> str:
        """The name of everything that is installed; no other application and environment have the same."""
        return f"turnout-{self.app}_{self.environment}"


def jobs(every: float, first: int = 0) -> tuple[Job, Job]:
    """The backup each `every` seconds, from minute `first` of the day on, and the daily maintenance after it."""
    step = round(every / 60)
    begin = first % step
    daily = (begin + min(AFTER, step // 2)) % DAY
    return (
        Job("backup", "a backup", tuple(range(begin, DAY, step))),
        Job("maintain", "backups verified, pruned and checked", (daily,)),
    )


def announcing(first: int = 0) -> Job:
    """The news of maintenance, every quarter of an hour from minute `first` on: late by less than what is announced."""
    return Job("announce", "maintenance announced", tuple(range(first % QUARTER, DAY, QUARTER)))


def spread(jitter: float, name: str, machine: str) -> int:
    """Whole minutes below `jitter` seconds: always the same for an installation, others for others."""
    digest = hashlib.sha256(f"{name}@{machine}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % max(1, int(jitter / 60))


def calendar(times: Sequence[int]) -> str:
    """These minutes of the day as systemd's OnCalendar; in UTC, so that no day is shorter than another."""
    hours, minutes = _split(times)
    return f"*-*-* {_listed(hours)}:{_listed(minutes)}:00 UTC"


def crontab_times(times: Sequence[int]) -> str:
    """These minutes of the day as the five fields of a crontab; cron takes them for local time."""
    hours, minutes = _split(times)
    return f"{','.join(map(str, minutes))} {'*' if len(hours) == 24 else ','.join(map(str, hours))} * * *"


def service(job: Job, place: Place, system: bool) -> str:
    """The unit that does the job once; `system` where it is one of the whole machine."""
    online = ["Wants=network-online.target", "After=network-online.target"] if system else []
    return _unit(
        "[Unit]",
        f"Description=Turnout: {job.title}, of {place.app} in {place.environment}",
        *online,
        "",
        "[Service]",
        "Type=oneshot",
        f"WorkingDirectory={place.project}",
        f"EnvironmentFile={place.variables}",
        f"ExecStart={words(*_command(job, place))}",
        "UMask=0077",
        # The command ends what it started, and undoes it, when it is told to end.
        "KillMode=mixed",
        "TimeoutStopSec=2min",
    )


def timer(job: Job, place: Place, jitter: float) -> str:
    """The unit that starts the service of the same name: late where the machine was off, never beside itself."""
    return _unit(
        "[Unit]",
        f"Description=Turnout: the times for {job.title}, of {place.app} in {place.environment}",
        "",
        "[Timer]",
        f"OnCalendar={calendar(job.times)}",
        f"RandomizedDelaySec={jitter:g}s",
        "Persistent=true",
        "",
        "[Install]",
        "WantedBy=timers.target",
    )


def command_line(job: Job, place: Place) -> str:
    """The job for /bin/sh, on one line, in need of no variable: not even PATH."""
    steps = [
        words("cd", place.project),
        "set -a",
        words(".", place.variables),
        f"exec {words(*_command(job, place))}",
    ]
    output = f"exec >>{words(place.log)} 2>&1; " if place.log else ""
    return f"umask 077; {output}{' && '.join(steps)}"


def crontab_block(jobs: Sequence[Job], place: Place) -> str:
    """The lines of a crontab that are ours: one for each job, between two by which they are found again."""
    begin, end = _marks(place.name)
    lines = (f"{crontab_times(job.times)} {command_line(job, place)}" for job in jobs)
    return "".join(f"{line}\n" for line in (begin, *lines, end))


def crontab_parts(crontab: str, name: str) -> tuple[str, str]:
    """Everybody else's lines, and our block or nothing. Raises ValueError when half of the block's frame is lost."""
    begin, end = _marks(name)
    others, ours, within = "", "", False
    for line in crontab.splitlines():
        if line in (begin, end):
            if within == (line == begin):
                raise ValueError(f"'{line}' stands alone")
            within = line == begin
        if within or line == end:
            ours += f"{line}\n"
        else:
            others += f"{line}\n"
    if within:
        raise ValueError(f"'{begin}' stands alone")
    return others, ours


def environment_file(values: Mapping[str, str]) -> str:
    """NAME="value" lines that /bin/sh and systemd read alike, values with line breaks too."""
    return "".join(f'{name}="{_escaped(value)}"\n' for name, value in sorted(values.items()))


def unfit(path: str) -> str | None:
    """A character of this path that one of sh, cron and systemd would not take for itself, or None."""
    found = re.search(r"[^\w ./+@,:=~-]", path)
    return found[0] if found else None


def _command(job: Job, place: Place) -> list[str]:
    log = [f"--log={place.log}"] if place.log else []
    return [place.python, "-m", "invoke", "backup.scheduled", job.name, f"--env={place.environment}", *log]


def _marks(name: str) -> tuple[str, str]:
    return (f"# {name}: begin (inv backup.schedule; --remove takes it away)", f"# {name}: end")


def _split(times: Sequence[int]) -> tuple[list[int], list[int]]:
    """Hours and minutes, of which every pair is one of the times. Raises ValueError where that is not so."""
    hours, minutes = sorted({time // 60 for time in times}), sorted({time % 60 for time in times})
    if len(hours) * len(minutes) != len(times):
        raise ValueError("no one expression has these times")
    return hours, minutes


def _listed(numbers: Sequence[int]) -> str:
    return ",".join(f"{number:02}" for number in numbers)


def _escaped(value: str) -> str:
    return re.sub(r'(["\\`$])', r"\\\1", value)


def _unit(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)
