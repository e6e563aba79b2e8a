"""What starts jobs by the clock on this machine: systemd where it runs, else cron."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fabfile.commands.shell import words
from fabfile.commands.timetable import Job, Place, command_line, crontab_block, crontab_parts, service, timer
from fabfile.errors import BadInput, Refused, TurnoutError

SECONDS = 60
"""How long systemctl or crontab may take."""


class Scheduler(Protocol):
    """Installs jobs. What is installed is told as texts by name: files by their path, and the crontab."""

    kind: str
    private: Path
    """Where the file of secrets goes."""
    spreads: bool
    """Whether it delays each start by chance, as it is told to."""

    def log(self, name: str) -> Path | None:
        """The file that jobs have to write to; None where there is a journal."""
        ...

    def present(self, name: str) -> dict[str, str]:
        """What is installed under this name now."""
        ...

    def wanted(self, jobs: Sequence[Job], place: Place, jitter: float) -> dict[str, str]:
        """What is to be installed for these jobs. Raises Refused where they would not be started."""
        ...

    def install(self, name: str, texts: Mapping[str, str]) -> None:
        """Install exactly this, and start it. May be repeated."""
        ...

    def remove(self, name: str) -> None:
        """Stop it, and take it away. May be repeated."""
        ...

    def trial(self, job: Job, place: Place) -> str:
        """A command line that starts an installed job now, just as it would be started."""
        ...

    def warnings(self) -> list[str]:
        """What may keep jobs from being started."""
        ...


def scheduler(root: Path = Path("/")) -> Scheduler:
    """The one that runs on the machine below `root`. Raises BadInput where there is none."""
    home = Path.home()
    if (root / "run/systemd/system").is_dir():
        lingering = root / "var/lib/systemd/linger"
        if os.geteuid() == 0:
            return Systemd(root / "etc/systemd/system", root / "etc/turnout", False, lingering)
        return Systemd(home / ".config/systemd/user", home / ".config/turnout", True, lingering)
    if shutil.which("crontab"):
        return Cron(home / ".config/turnout", home / ".local/state/turnout", root / "proc")
    raise BadInput(
        "nothing on this machine starts jobs by the clock: systemd does not run, and there is no crontab",
        "do it on another machine, or install cron: sudo apt-get install cron",
    )


def take_away(*paths: Path) -> None:
    """Delete these files, and the folders that are empty then; what is not there is none the less taken away."""
    for path in paths:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def write(path: Path, text: str, mode: int) -> None:
    """Replace a file in one step, so that nobody ever sees half of it. Raises TurnoutError when that does not work."""
    new = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise TurnoutError(f"{path}: cannot be written: {error.strerror}", f"ls -ld {path.parent}") from error
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class Systemd:
    """Units of the machine, or with `user` of one user, whose jobs run at any time only while they linger."""

    spreads = True

    def __init__(self, units: Path, private: Path, user: bool, lingering: Path) -> None:
        self.private = private
        self.kind = "systemd, as a user" if user else "systemd"
        self._units, self._user, self._lingering = units, user, lingering

    def log(self, name: str) -> Path | None:
        return None

    def present(self, name: str) -> dict[str, str]:
        return {str(path): path.read_text() for path in self._files(name)}

    def wanted(self, jobs: Sequence[Job], place: Place, jitter: float) -> dict[str, str]:
        self._refuse_without_lingering()
        texts = {}
        for job in jobs:
            unit = self._units / _unit(place.name, job.name)
            texts[f"{unit}.service"] = service(job, place, system=not self._user)
            texts[f"{unit}.timer"] = timer(job, place, jitter)
        return texts

    def install(self, name: str, texts: Mapping[str, str]) -> None:
        gone = [path for path in self._files(name) if str(path) not in texts]
        if stopped := [path.name for path in gone if path.suffix == ".timer"]:
            self._systemctl("disable", "--now", *stopped)
        for path in gone:
            path.unlink()
        for target, text in texts.items():
            write(Path(target), text, 0o644)
        self._systemctl("daemon-reload")
        # Restarted, not only enabled: a timer that runs already keeps the times that it was started with.
        timers = [Path(target).name for target in texts if target.endswith(".timer")]
        self._systemctl("enable", *timers)
        self._systemctl("restart", *timers)

    def remove(self, name: str) -> None:
        timers = [path.name for path in self._files(name) if path.suffix == ".timer"]
        if timers:
            self._systemctl("disable", "--now", *timers)
            with contextlib.suppress(TurnoutError):  # when they last ran; systemd before 247 keeps that
                self._systemctl("clean", "--what=state", *timers)
        for path in self._files(name):
            path.unlink()
        self._systemctl("daemon-reload")

    def trial(self, job: Job, place: Place) -> str:
        whose = "--user " if self._user else ""
        unit = _unit(place.name, job.name)
        return f"systemctl {whose}start {unit}; journalctl {whose}-u {unit}"

    def warnings(self) -> list[str]:
        return []

    def _files(self, name: str) -> list[Path]:
        return sorted(path for kind in ("service", "timer") for path in self._units.glob(f"{_unit(name, '*')}.{kind}"))

    def _refuse_without_lingering(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        if self._user and not (self._lingering / user).exists():
            raise Refused(f"timers of {user} run only while {user} is logged in", f"sudo loginctl enable-linger {user}")

    def _systemctl(self, *arguments: str) -> None:
        _run(["systemctl", *(["--user"] if self._user else []), "--no-ask-password", *arguments])


class Cron:
    """Lines in the crontab of whoever installs them."""

    kind, spreads = "cron", False

    def __init__(self, private: Path, logs: Path, processes: Path) -> None:
        self.private = private
        self._logs, self._processes = logs, processes
        self._title = f"crontab of {pwd.getpwuid(os.geteuid()).pw_name}"

    def log(self, name: str) -> Path | None:
        return self._logs / f"{name}.log"

    def present(self, name: str) -> dict[str, str]:
        _, ours = self._parts(name)
        return {self._title: ours} if ours else {}

    def wanted(self, jobs: Sequence[Job], place: Place, jitter: float) -> dict[str, str]:
        return {self._title: crontab_block(jobs, place)}

    def install(self, name: str, texts: Mapping[str, str]) -> None:
        self._logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        others, _ = self._parts(name)
        _run(["crontab", "-"], others + "".join(texts.values()))

    def remove(self, name: str) -> None:
        others, ours = self._parts(name)
        if ours:
            _run(["crontab", "-"] if others else ["crontab", "-r"], others)
        take_away(self._logs / f"{name}.log", self._logs / f"{name}.log.1")

    def trial(self, job: Job, place: Place) -> str:
        return words("env", "-i", "/bin/sh", "-c", command_line(job, place))

    def warnings(self) -> list[str]:
        names = set()
        for file in self._processes.glob("[0-9]*/comm"):
            with contextlib.suppress(OSError):  # it may have ended
                names.add(file.read_text().strip())
        return [] if names & {"cron", "crond"} else ["no cron daemon runs here: start it, or nothing will happen"]

    def _parts(self, name: str) -> tuple[str, str]:
        """The lines of others and our block; both empty where there is no crontab."""
        try:
            return crontab_parts(_run(["crontab", "-l"], allowed="no crontab for"), name)
        except ValueError as error:
            raise BadInput(f"{self._title}: {error}", "mend or remove that block: crontab -e") from None


def _unit(name: str, job: str) -> str:
    # No name of an application or environment has an underscore, so nobody's units are found under another's name.
    return f"{name}_{job}"


def _run(words: Sequence[str], given: str = "", allowed: str | None = None) -> str:
    """What the command writes; nothing where it fails with `allowed` in what it says."""
    shown = " ".join(words)
    try:
        done = subprocess.run(
            words,
            input=given,
            env={**os.environ, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TurnoutError(f"`{shown}` cannot be run: {error}", "run it by hand") from error
    if done.returncode and allowed is not None and allowed in done.stderr:
        return ""
    if done.returncode:
        raise TurnoutError(
            f"`{shown}` ended with status {done.returncode}", "run it by hand", done.stderr.splitlines()[-5:]
        )
    return done.stdout
