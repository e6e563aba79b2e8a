"""Where a fault happens: a run on two hosts under the eyes of visitors, and what must be true of it whatever broke."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.project import Project
from tests.faults.fault import Fault

BACK_WITHIN = 60.0
"""Seconds within which a host that was down or cut off serves again."""


@dataclass(frozen=True)
class Seen:
    """What `inv status` shows of each host, and what it says of a run that did not end."""

    hosts: dict[str, Any]
    said: str

    @property
    def live(self) -> set[str | None]:
        """The releases that are served."""
        return {seen["slots"][seen["live"]]["release"] if seen["live"] else None for seen in self.hosts.values()}

    @property
    def unfinished(self) -> bool:
        return any(seen["pending"] for seen in self.hosts.values())

    @property
    def picture(self) -> dict[str, Any]:
        """What a run that was taken back must leave as it was (invariant 3)."""
        return {
            host: {
                "live": seen["live"],
                "share": seen["share"],
                "site": seen["site"],
                "generation": seen["generation"],
                "slots": {slot: (state["release"], _online(state)) for slot, state in seen["slots"].items()},
                "releases": sorted(seen["releases"]),
                "maintenance": seen["maintenance"],
            }
            for host, seen in self.hosts.items()
        }

    def can_go_back_to(self, release: str) -> bool:
        """Whether `inv rollback` would go to this release on every host."""
        return all(
            (idle := seen["slots"]["green" if seen["live"] == "blue" else "blue"])["release"] == release
            and idle["proven"]
            and release not in seen["bad"]
            for seen in self.hosts.values()
        )


@dataclass
class Stage:
    """Two hosts that serve one of two releases."""

    project: Project
    releases: tuple[str, str]

    def look(self) -> Seen:
        done = self.project.inv("status", "--json")
        return Seen(done.document, done.err)

    def make_ready(self, fault: Fault) -> tuple[str, Seen]:
        """Bring the hosts to where the run can begin; the release that they will serve then, and what they show now."""
        seen = self.look()
        assert len(seen.live) == 1, f"the hosts do not agree: {seen.live}"
        now = next(iter(seen.live)) or ""
        if now not in self.releases:
            now = self.releases[0]
            self.project.inv("deploy", f"--release={now}")
            seen = self.look()
        other = self.releases[1] if now == self.releases[0] else self.releases[0]
        if fault.verb == "rollback" and not seen.can_go_back_to(other):
            self.project.inv("deploy", f"--release={other}")
            return now, self.look()
        if fault.step == "upload":  # a release that the hosts keep is not sent again
            for host in self.project.lab.hosts:
                self.project.lab.execute(host, "bash", "-c", f"rm -f /var/app/small/releases/{other}*")
            return other, self.look()
        return other, seen

    def run(self, words: tuple[str, ...], fault: Fault) -> int:
        """The command, with the fault at its moment; its exit status."""
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "invoke", *words, "--json"],
                cwd=self.project.folder,
                env=self.project.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            assert process.stdout
            if fault.seconds:
                threading.Timer(fault.seconds, _kill, [process]).start()
            met = bool(fault.seconds)
            for line in process.stdout:
                event = json.loads(line)
                if not met and (event.get("event"), event.get("step")) == (fault.event, fault.step):
                    met = True
                    self.inject(fault, process)
            process.stdout.close()
            code = process.wait(240)
            errors.seek(0)
            text = errors.read()
        assert "Traceback" not in text, text
        assert met, f"{fault.step} never came:\n{text}"
        return code

    def inject(self, fault: Fault, process: subprocess.Popen[str]) -> None:
        lab = self.project.lab
        match fault.kind:
            case "operator":
                _kill(process)
            case "power":
                lab.kill(fault.host)
            case "cable":
                lab.cut(fault.host, drop=True)
            case "disk":
                lab.fill(fault.host)
            case "nginx":
                lab.execute(fault.host, "systemctl", "kill", "--signal=KILL", "nginx")
            case "pm2":
                lab.execute(fault.host, "bash", "-c", "pkill -KILL -f '[P]M2.*God Daemon' || true")
            case "clock":  # for what measures ages of files, a clock that jumps forth and one that jumps back
                state = "/var/app/small/.turnout"
                lab.execute(
                    fault.host, "bash", "-c", f"touch -d '1 hour ago' {state}/lease; touch -c -d '1 hour' {state}/trial"
                )

    def mend(self, fault: Fault) -> None:
        """The host is as it should be again, but for what the product has to do."""
        lab = self.project.lab
        match fault.kind:
            case "power":
                lab.start(fault.host)
            case "cable":
                lab.heal(fault.host)
            case "disk":
                lab.drain(fault.host)
            case "nginx":
                lab.execute(fault.host, "systemctl", "restart", "nginx")
        for host in lab.hosts:
            wait_until(lambda host=host: self.answer(host) in self.releases, f"{host} serves again")  # type: ignore[misc]

    def answer(self, host: str) -> str:
        """The release that answers on a host, else what came in its place."""
        connection = http.client.HTTPConnection(self.project.lab.address(host), timeout=3)
        try:
            connection.request("GET", "/api/health")
            response = connection.getresponse()
            body = response.read()
            return str(json.loads(body)["release"]) if response.status == 200 else f"{response.status}: {body!r}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return repr(error)
        finally:
            connection.close()

    def serves_something_whole(self) -> Seen:
        """Invariants 1 and 2: every host answers from a release whose files are all there and as they were built."""
        seen = self.look()
        for host in self.project.lab.hosts:
            assert self.answer(host) in self.releases, f"{host} answers {self.answer(host)}"
            check = f"cd /var/app/small/slots/{seen.hosts[host]['live']} && sha256sum --quiet -c .turnout/checksums"
            self.project.lab.execute(host, "bash", "-c", check)
        return seen

    def no_step_had_an_old_token(self) -> None:
        """Invariant 5: in each host's journal the tokens only rise, the host's own lines (0) left out."""
        for host in self.project.lab.hosts:
            text = self.project.lab.execute(host, "cat", "/var/app/small/.turnout/journal.jsonl")
            whole = [line for line in text.splitlines() if line.endswith("}")]  # others were cut, with the power
            tokens = [token for line in whole if (token := json.loads(line)["token"])]
            assert tokens == sorted(tokens), f"{host}: a step ran under an old token"


class Watched:
    """Asks every host all the time, but for the broken one, and remembers whoever did not answer well."""

    def __init__(self, stage: Stage, leave_out: str) -> None:
        self._stage, self._stop = stage, threading.Event()
        self._hosts = [host for host in stage.project.lab.hosts if host != leave_out]
        self._thread = threading.Thread(target=self._watch)
        self.bad: list[str] = []

    def __enter__(self) -> Watched:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for host in self._hosts:
                found = self._stage.answer(host)
                if found not in self._stage.releases:
                    self.bad.append(f"{time.strftime('%X')} {host}: {found}; here {pressure()}")


def pressure() -> str:
    """How long this machine's processes waited for CPU and disk lately: all hosts of the lab share it."""
    found = [(name, Path("/proc/pressure", name)) for name in ("cpu", "io")]
    return ", ".join(f"{name} {path.read_text().split()[1]}" for name, path in found if path.exists())


def wait_until(true: Callable[[], bool], what: str, seconds: float = BACK_WITHIN) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not so after {seconds:.0f} s: {what}"
        time.sleep(0.3)


def _online(state: dict[str, Any]) -> bool:
    return bool(state["process"]) and state["process"]["status"] == "online"


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
