"""A scratch slot with a real Node in it: tried, told apart from what is live, and gone whatever happens."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from fabfile.commands import scratch
from fabfile.commands.release import control_archive
from fabfile.config.schema import HealthSettings, ProcessSettings, ReleaseSettings
from fabfile.errors import Interrupted, RemoteError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")
NODE = shutil.which("node") or "node"
RUN, OTHER = "20250131T030000-0a1b", "20250131T030001-0a1b"

SERVER = """
const fs = require('fs');
const env = process.env;
fs.writeFileSync(env.SEEN, JSON.stringify({ env, secret: fs.readFileSync(env.ENV_FILE, 'utf8'), args: process.argv,
    note: fs.existsSync('uploads/note') && fs.readFileSync('uploads/note', 'utf8'), pid: process.pid }));
require('child_process').spawn('sleep', ['60'], { detached: true });
process.on('SIGINT', () => { fs.writeFileSync(env.SEEN + '.ended', ''); process.exit(0) });
require('http').createServer((request, response) => {
    response.writeHead(%s); response.end(JSON.stringify({ release: env.RELEASE_ID }));
}).listen(env.PORT, env.HOST);
"""


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths("exam'ple app", base=str(tmp_path))
    Path(found.releases).mkdir(parents=True)
    return found


def compressed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return subprocess.run(["zstd", "-q", "-c"], input=buffer.getvalue(), capture_output=True, check=True).stdout


def trial(paths: Paths, server: str, listed: str | None = None, patience: str = "10s") -> Script:
    """A trial of a release whose server is this program; `listed` is what its checksums speak of instead."""
    archive = Path(paths.releases, "1.0.tar.zst")
    archive.write_bytes(compressed({"server.js": server.encode(), "uploads/.keep": b""}))
    sums = f"{hashlib.sha256((listed or server).encode()).hexdigest()}  server.js\n"
    control = control_archive({"checksums": (0o644, sums.encode()), "env": (0o600, b"DATABASE_URL=restored\n")})
    home = f"{paths.scratch(RUN)}/release"
    variables = {"HOST": "127.0.0.1", "RELEASE_ID": "1.0", "SLOT": "scratch", "ENV_FILE": f"{home}/.turnout/env"}
    return scratch.try_release(
        paths,
        RUN,
        "1.0",
        str(archive),
        f"{paths.scratch(RUN)}/shared",
        control,
        {**variables, "SEEN": f"{paths.base}/seen"},
        NODE,
        ReleaseSettings(shared=("uploads",)),
        ProcessSettings.model_validate({"arguments": ["a b"], "stop_timeout": "5s"}),
        HealthSettings.model_validate({"timeout": patience, "stable": "1s", "request_timeout": "2s"}),
    )


def seen(paths: Paths) -> dict[str, object]:
    found: dict[str, object] = json.loads(Path(paths.base, "seen").read_text())
    return found


def running(paths: Paths) -> list[str]:
    """The processes that work somewhere in the scratch slot."""
    return [place.parent.name for place in Path("/proc").glob("[0-9]*/cwd") if paths.scratch(RUN) in _target(place)]


def _target(place: Path) -> str:
    try:
        return str(place.readlink())
    except OSError:  # it has ended
        return ""


def test_a_release_is_tried_with_its_own_secrets_and_files_and_nothing_is_left(paths: Paths) -> None:
    files = compressed({"uploads/note": b"restored"})
    HOST.run(scratch.load_files(paths, RUN), [files])
    script = trial(paths, SERVER % 200)
    phases = scratch.parse(HOST.run(script).stdout)
    assert list(phases) == ["unpack", "healthy"]
    assert all(0 < seconds < 10 for seconds in phases.values())
    found = seen(paths)
    environment = found["env"]
    assert isinstance(environment, dict)
    assert found["secret"] == "DATABASE_URL=restored\n"
    assert found["note"] == "restored"
    assert isinstance(found["args"], list)
    assert found["args"][2:] == ["a b"]
    assert (environment["SLOT"], environment["HOST"]) == ("scratch", "127.0.0.1")
    assert "restored" not in script.text
    assert Path(paths.base, "seen.ended").exists()
    assert running(paths) == []
    assert [entry.name for entry in Path(paths.scratch(RUN)).iterdir()] == ["shared"]
    HOST.run(scratch.drop(paths, RUN))
    assert sorted(entry.name for entry in Path(paths.root).iterdir()) == ["releases"]


@pytest.mark.parametrize(
    ("server", "fact"),
    [
        (SERVER % 500, "release 1.0 is not healthy after 1 s in a scratch slot"),
        ("throw new Error('no such table: items')", "release 1.0 does not stay up in a scratch slot"),
    ],
)
def test_a_release_that_fails_says_why_and_leaves_nothing(paths: Paths, server: str, fact: str) -> None:
    with pytest.raises(RemoteError) as failed:
        HOST.run(trial(paths, server, patience="1s"))
    assert failed.value.fact.startswith(f"h1: {fact}")
    wanted = '{"release":"1.0"} 500' if "500" in server else "no such table: items"
    assert wanted in "\n".join(failed.value.details)
    assert running(paths) == []
    assert [str(file) for file in Path(paths.scratch(RUN)).rglob("*") if file.name not in ("shared", "uploads")] == []


def test_what_differs_from_its_manifest_is_not_started(paths: Paths) -> None:
    with pytest.raises(RemoteError, match="differs from its manifest"):
        HOST.run(trial(paths, SERVER % 200, listed="something else"))
    assert not Path(paths.base, "seen").exists()


def test_an_interrupt_ends_the_release_and_dropping_removes_what_it_left(paths: Paths) -> None:
    host = LocalHost("h1")
    script = trial(paths, SERVER % 500)

    def interrupt() -> None:
        while not Path(paths.base, "seen").exists():
            time.sleep(0.05)
        host.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted):
        host.run(script)
    thread.join()
    deadline = time.monotonic() + 5
    while str(seen(paths)["pid"]) in running(paths):
        assert time.monotonic() < deadline
    for _ in range(2):
        HOST.run(scratch.drop(paths, RUN))
    assert running(paths) == []
    assert sorted(entry.name for entry in Path(paths.root).iterdir()) == ["releases"]


def test_an_archive_or_files_that_did_not_arrive_whole_are_refused(paths: Paths) -> None:
    data = compressed({"uploads/note": b"restored" * 1000})
    digest = hashlib.sha256(data).hexdigest()
    with pytest.raises(RemoteError, match="arrived damaged"):
        HOST.run(scratch.receive(paths, RUN, digest), [data[:-1]])
    with pytest.raises(RemoteError, match="did not arrive whole"):
        HOST.run(scratch.load_files(paths, RUN), [data[:-10]])
    HOST.run(scratch.receive(paths, RUN, digest), [data])
    assert Path(paths.scratch(RUN), "release.tar.zst").read_bytes() == data


def test_slots_of_runs_that_died_long_ago_are_removed_and_others_are_left_alone(paths: Paths) -> None:
    for run, hours in ((OTHER, 1), ("20250101T000000-ffff", 13)):
        folder = Path(paths.scratch(run))
        folder.mkdir(parents=True)
        os.utime(folder, (time.time() - hours * 3600,) * 2)
    data = compressed({"x": b""})
    HOST.run(scratch.receive(paths, RUN, hashlib.sha256(data).hexdigest()), [data])
    HOST.run(scratch.drop(paths, RUN))
    assert [entry.name for entry in Path(paths.root, "scratch").iterdir()] == [OTHER]
