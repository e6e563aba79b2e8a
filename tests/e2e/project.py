"""A user's project: the product's files in a folder of its own, an environment on the lab, and `inv` as a command."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fabfile.lab.lab import Lab
from tests.checkout import copy_product

LIMIT = 240
"""Seconds that one command may take before the test gives up on it."""


@dataclass(frozen=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        """The last JSON document on standard output."""
        return json.loads(self.out.strip().splitlines()[-1])


class Project:
    """One user's checkout, with the environment `test` on the lab's hosts; `files` go into every release it builds."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.folder, self.lab = folder, lab
        copy_product(folder)
        (folder / "hosts").mkdir()
        self.environment = {**os.environ, **lab.environment, "DEPLOYMENT_ENV": "test", "NO_COLOR": "1"}
        self.always: dict[str, Any] = {}
        self.files: dict[str, str] = {}
        self.printed: list[str] = []
        """What all commands have printed so far."""
        self._builds = 0
        self._sound: set[str] = set()
        self.configure()

    def configure(self, **changes: Any) -> None:
        """Write hosts/test.yml: two hosts, quick times, and `changes` (and those for `always`) to whole sections."""
        settings: dict[str, Any] = {
            "app": "small",
            "hosts": {**{name: {} for name in self.lab.hosts}, "db": {"roles": ["db"]}},
            "ssh": {
                "config": str(self.lab.ssh_config),
                "known_hosts": str(self.lab.known_hosts),
                "connect_timeout": "4s",
            },
            "build": {"source": "app", "commands": []},
            "release": {"shared": ["uploads"], "drain_timeout": "5s"},
            "health": {"timeout": "8s", "stable": "1s", "request_timeout": "2s"},
            "database": {"via": "db", "name": "app", "user": "turnout", "password": "env:TURNOUT_DB_PASSWORD"},
            "backup": {"bucket": "backups", "prefix": self.folder.name.lower(), "endpoint": "env:S3_ENDPOINT"},
        }
        (self.folder / "hosts" / "test.yml").write_text(yaml.safe_dump({**settings, **self.always, **changes}))

    def build(self, version: str, **behaviour: Any) -> str:
        """Build a release of the small application that behaves like this; its id, which no earlier build has."""
        self._builds += 1
        source = self.folder / "app"
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(Path(__file__).with_name("app"), source)
        (source / "package.json").write_text(json.dumps({"name": "small", "version": version, "build": self._builds}))
        (source / "behaviour.json").write_text(json.dumps(behaviour))
        for path, text in self.files.items():
            (source / path).parent.mkdir(exist_ok=True)
            (source / path).write_text(text)
        release = str(self.inv("build", "--json").document["id"])
        if not behaviour:
            self._sound.add(release)
        return release

    def sound(self) -> str | None:
        """The release that behaves well and answers on every host now; None where there is none."""
        found = {_answering(self.lab.address(host)) for host in self.lab.hosts}
        return found.pop() if len(found) == 1 and found <= self._sound else None

    def inv(self, *words: str, expect: int = 0, given: str | None = None) -> Done:
        """Run one command to its end, with `given` on its standard input; its exit code must be the expected one."""
        process = self.start(*words, stdin=subprocess.DEVNULL if given is None else subprocess.PIPE)
        try:
            out, err = process.communicate(given, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"inv {' '.join(words)} hangs:\n{out}\n{err}") from None
        done = Done(process.returncode, out, err)
        self.printed.append(done.text)
        assert done.code == expect, f"inv {' '.join(words)}: exit {done.code}, not {expect}:\n{done.text}"
        assert "Traceback" not in done.text, done.text
        return done

    def start(self, *words: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        """Start one command, in a process group of its own so that a signal can be sent to it alone."""
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def interrupt(self, process: subprocess.Popen[str], number: int = signal.SIGINT) -> Done:
        """Send a signal to a running command and wait for its end."""
        os.kill(process.pid, number)
        out, err = process.communicate(timeout=LIMIT)
        return Done(process.returncode, out, err)

    def live(self) -> dict[str, tuple[str | None, str | None]]:
        """By host: the live slot and its release, by looking."""
        document = self.inv("status", "--json").document
        return {name: (seen["live"], seen["slots"][seen["live"]]["release"]) for name, seen in document.items()}

    def wipe(self) -> None:
        """Take everything of the application off the hosts, as they were before the first deploy."""
        script = (
            "sudo -iu deploy pm2 -s delete all; sudo -iu deploy pm2 -s save --force; "
            "find /var/app -mindepth 1 -maxdepth 1 -exec rm -rf {} +; rm -rf /etc/nginx/turnout/*; "
            "systemctl reload nginx"
        )
        for host in self.lab.hosts:
            self.lab.execute(host, "bash", "-c", script)


@contextmanager
def on_bare_hosts(folder: Path, lab: Lab) -> Iterator[Project]:
    """A project whose hosts are bare at the beginning and at the end."""
    found = Project(folder, lab)
    found.wipe()
    yield found
    found.wipe()


def _answering(address: str) -> str | None:
    """The release that visitors of this address get; None where they get none."""
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", "/")
        release: str = json.loads(connection.getresponse().read())["release"]
        return release
    except (OSError, http.client.HTTPException, ValueError, KeyError):
        return None
    finally:
        connection.close()
