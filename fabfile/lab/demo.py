"""The story of `scripts/demo`: two hosts, deploys and a rollback under traffic, a disaster, and the way back."""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from fabfile.errors import Refused, TurnoutError
from fabfile.lab import state as states
from fabfile.lab.browser import KeepAlive
from fabfile.lab.lab import Lab
from fabfile.lab.narration import Narrator, Unexpected, say
from fabfile.lab.tally import Snapshot
from fabfile.lab.traffic import Traffic
from fabfile.lab.variants import BROKEN, SECOND, make_variant
from fabfile.lab.verdict import Verdict

PROJECT = Path(__file__).resolve().parents[2]
APPLICATION = PROJECT / "examples" / "app"
# hosts/demo.yml looks for the lab under this name.
NAME = "demo"
ROLLED_BACK = 6
KEPT_ITEMS = ("Lamp oil", "Signal flags", "Track spikes")
KEPT_ROWS = "select id, name, quantity from items where name not like 'traffic %' order by id"
WHAT_TO_TRY = """
The lab stays up. Try:
  set -a; . {environment}; set +a
  .venv/bin/inv status
  .venv/bin/inv doctor
  .venv/bin/inv backup.list
  .venv/bin/inv rollback
  .venv/bin/inv lab.ssh h1
  .venv/bin/inv lab.down"""


class Story:
    """Everything that happens between `lab up` and the summary."""

    def __init__(self, sources: Path) -> None:
        self.narrator = Narrator(self.figures)
        self._sources = sources
        self._lab: Lab | None = None
        self._traffic: Traffic | None = None

    def tell(self) -> None:
        """Take every step.

        Raises:
            TurnoutError: one ended otherwise than the story goes.
        """
        with self.narrator.step("lab up: two web hosts, PostgreSQL, S3"):
            self._lab = Lab.up(NAME, hosts=2, s3="moto", say=lambda line: say(f"           {line}"))
        first = self._build("build v1", APPLICATION)
        self._deploy("deploy v1", first)
        self._traffic = Traffic([f"{self.lab.address(host)}:80" for host in self.lab.hosts])
        say("\n           from here on users are there: readers, writers and WebSockets on both hosts")
        with self._traffic:
            self._under_traffic()

    def _under_traffic(self) -> None:
        second = self._build("build v2", make_variant(APPLICATION, self._sources / "v2", SECOND))
        self._deploy("deploy v2", second)
        self._inv("rollback to v1", "rollback", "--env=demo", "--yes")
        self._deploy("deploy v2 again", second)
        with self.narrator.step("users add items that matter"):
            self._add_items()
            rows = self._rows()
        self._inv("backup", "backup", "--env=demo")
        third = make_variant(APPLICATION, self._sources / "v3", BROKEN)
        # Not into dist/, where it would be the newest, and the next `inv deploy` would take it.
        apart = f"--out={self._sources / 'dist'}"
        broken = self._build("build v3, broken in a way that its tests miss", third, apart, key="path")
        self._deploy("deploy v3: fails its health check", broken, expected=ROLLED_BACK)
        self._disaster(rows)
        self._inv("plan: nothing to do", "plan", "--env=demo", f"--release={second}")
        self._inv("make the bucket safe", "bucket.setup", "--yes", "--env=demo")
        self._inv("doctor: all is well", "doctor", "--env=demo")

    def _disaster(self, rows: str) -> None:
        assert self._traffic is not None
        with self._traffic.outage():
            with self.narrator.step("disaster: somebody drops the table items"):
                self._psql("drop table items")
            self._inv("restore backup 1", "rollback", "--env=demo", "--backup=1", "--yes")
        with self.narrator.step("the table and its rows are back"):
            found = self._rows()
            if found != rows:
                raise Unexpected("the rows differ from those at the backup", details=["then:", rows, "now:", found])
            say("\n".join(f"           {row}" for row in found.splitlines()))

    def figures(self) -> Snapshot | None:
        """What users met so far, None while there are none."""
        return self._traffic.snapshot() if self._traffic else None

    @property
    def lab(self) -> Lab:
        assert self._lab is not None, "the lab comes first"
        return self._lab

    def _build(self, name: str, source: Path, *flags: str, key: str = "id") -> str:
        """What `inv build` says of the release under `key`."""
        where = () if source == APPLICATION else (f"--source={source}",)
        text = self._inv(name, "build", "--env=demo", *where, *flags, "--json", answer=True)
        try:
            release = str(json.loads(text.strip().splitlines()[-1])[key])
        except (ValueError, LookupError) as error:
            raise Unexpected(f"{name}: no {key} in the last line of its answer: {text!r}") from error
        say(f"           release {release}")
        return release

    def _deploy(self, name: str, release: str, expected: int = 0) -> None:
        self._inv(name, "deploy", "--env=demo", f"--release={release}", "--yes", expected=expected)

    def _inv(self, name: str, *words: str, expected: int = 0, answer: bool = False) -> str:
        inv = str(Path(sys.executable).with_name("inv"))
        return self.narrator.command(name, (inv, *words), self.lab.environment, expected=expected, answer=answer)

    def _add_items(self) -> None:
        connection = KeepAlive(f"{self.lab.address(self.lab.hosts[0])}:80")
        for quantity, name in enumerate(KEPT_ITEMS, start=1):
            try:
                status = connection.request("POST", "/api/items", {"name": name, "quantity": quantity}).status
            except (OSError, http.client.HTTPException) as error:
                raise Unexpected(f"POST /api/items: {error}") from error
            if status != 201:
                raise Unexpected(f"POST /api/items: status {status}, not 201")
        connection.close()

    def _rows(self) -> str:
        return self._psql(KEPT_ROWS)

    def _psql(self, statement: str) -> str:
        psql = ("psql", "-v", "ON_ERROR_STOP=1", "-q", "-A", "-t", "-d", "app", "-c", statement)
        return self.lab.execute("db", *psql, user="postgres")


def demonstrate(keep: bool, report: Path | None) -> int:
    """Tell the story, with the lab gone afterwards unless `keep`; the exit code, 0 when all went as it should."""
    if states.load(NAME) is not None:
        raise Refused(f"a lab {NAME} is up already, and the demo needs a fresh one", f"inv lab.down --name={NAME}")
    with ExitStack() as cleanup:
        cleanup.callback(_leave, keep)
        story = Story(Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="turnout-demo-"))))
        error: TurnoutError | None = None
        try:
            story.tell()
        except TurnoutError as unexpected:
            error = unexpected
        verdict = Verdict(story.narrator.steps, story.figures(), story.narrator.seconds, error)
        say(verdict.text())
        if report:
            report.write_text(json.dumps(verdict.document(), indent=2) + "\n")
    return 0 if verdict.good else 1


def _leave(keep: bool) -> None:
    """Take the lab away, or say how to use it; Ctrl-C waits for that, or it would leave half a network."""
    if states.load(NAME) is None:
        return
    if keep:
        say(WHAT_TO_TRY.format(environment=states.folder(NAME) / "environment"))
        return
    say("\ntaking the lab away")
    waiting = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in waiting]
    try:
        Lab.remove(NAME, say)
    finally:
        for number, handler in zip(waiting, before, strict=True):
            signal.signal(number, handler)


def main(words: Sequence[str]) -> int:
    """The demo as a program; its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="Turnout on two real hosts, in a few minutes.")
    parser.add_argument("--keep", action="store_true", help="leave the lab up afterwards")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    options = parser.parse_args(words)
    # A CI job that is cancelled gets SIGTERM, and must not leave a lab behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demonstrate(options.keep, options.json)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except TurnoutError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
