"""Builds: what gets in, what is refused, and that the same source always makes the same archive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fabfile.artifact.archive import open_release, read_manifest, scan
from fabfile.artifact.build import build, run_command
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.release import ReleaseLink


def application(folder: Path, version: str = "1.2.3") -> Path:
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "shop", "version": version}))
    (folder / "bin").mkdir()
    (folder / "bin/run").write_text("#!/bin/sh\n")
    (folder / "bin/run").chmod(0o775)
    (folder / "start").symlink_to("bin/run")
    (folder / "node_modules").mkdir()
    (folder / "node_modules/stale.js").write_text("stale")
    return folder


def make(source: Path, out: Path, *commands: list[str]) -> str:
    return build(source, out, commands, ("node_modules", ".git", "dist"), lambda line: None).id


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=Team", "-c", "user.email=team@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


def test_a_build_makes_an_archive_that_scans_and_unpacks(tmp_path: Path) -> None:
    source = application(tmp_path / "app")
    identity = make(source, tmp_path / "dist", ["sh", "-c", "mkdir public && echo page > public/index.html"])
    release = open_release(identity, tmp_path / "dist")
    scan(release.path, release.manifest)
    manifest = release.manifest
    modes = {file.path: file.mode for file in manifest.files}
    assert modes == {"bin/run": 0o755, "package.json": 0o644, "public/index.html": 0o644}
    assert manifest.links == (ReleaseLink("start", "bin/run"),)
    assert (manifest.name, manifest.version, manifest.commit, manifest.dirty) == ("shop", "1.2.3", None, False)
    assert manifest.size == release.path.stat().st_size
    target = tmp_path / "slot"
    target.mkdir()
    line = 'zstd -q -dc "$0" | tar -x --no-same-owner --no-same-permissions -C "$1" && cd "$1" && sha256sum --strict -c'
    done = subprocess.run(
        ["bash", "-c", line, release.path, target], input=manifest.checksums().encode(), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert (target / "start").read_text() == "#!/bin/sh\n"
    assert sorted(path.name for path in (tmp_path / "dist").iterdir()) == [f"{identity}.json", f"{identity}.tar.zst"]


def test_the_same_source_makes_the_same_archive_whatever_its_umask_and_age(tmp_path: Path) -> None:
    one, two = application(tmp_path / "one"), application(tmp_path / "two")
    os.utime(two / "package.json", (1, 1))
    (two / "package.json").chmod(0o600)
    first, second = make(one, tmp_path / "a"), make(two, tmp_path / "b")
    assert first == second
    archives = [(tmp_path / folder / f"{first}.tar.zst").read_bytes() for folder in "ab"]
    assert archives[0] == archives[1]
    (two / "package.json").write_text('{"name": "shop", "version": "1.2.3" }')
    assert make(two, tmp_path / "b") != first


def test_a_work_tree_gives_what_git_tracks_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    source = application(tmp_path / "app")
    git(source, "init", "-q")
    git(source, "add", "package.json", "bin/run")
    git(source, "commit", "-qm", "Start")
    (source / "secret.env").write_text("PASSWORD=1")
    heard: list[str] = []
    manifest = build(source, tmp_path / "dist", (), (), heard.append)
    assert [file.path for file in manifest.files] == ["bin/run", "package.json"]
    assert any("secret.env" in line for line in heard)
    assert manifest.commit
    assert len(manifest.commit) == 40
    assert not manifest.dirty
    (source / "bin/run").write_text("changed")
    assert build(source, tmp_path / "dist", (), (), heard.append).dirty
    (source / "bin/run").unlink()
    assert [file.path for file in build(source, tmp_path / "dist", (), (), heard.append).files] == ["package.json"]


def test_a_work_tree_without_tracked_files_is_refused(tmp_path: Path) -> None:
    source = application(tmp_path / "app")
    git(source, "init", "-q")
    with pytest.raises(BadInput, match="holds no file to build from"):
        make(source, tmp_path / "dist")


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("ln -s /etc/passwd out", "points to an absolute path"),
        ("ln -s ../../etc out", "points out of the release"),
        ("ln -s bin/../../x out", "points out of the release"),
        ("mkfifo out", "is neither a file nor a symlink"),
        ("echo > out; chmod 4755 out", "is setuid or setgid"),
        ("mkdir .turnout; echo > .turnout/env", "belongs to the host"),
        (r"echo > 'a\b'", "has a backslash"),
        ("echo > \"$(printf 'a\\nb')\"", "a control character"),
        ("echo > \"$(printf 'a\\377b')\"", "not UTF-8"),
    ],
)
def test_what_a_scan_would_refuse_is_not_built(tmp_path: Path, command: str, problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        make(application(tmp_path / "app"), tmp_path / "dist", ["sh", "-c", command])
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("package", ["", "{}", "[]", '{"name": "x", "version": "../1"}', None])
def test_a_source_without_a_usable_package_json_is_refused(tmp_path: Path, package: str | None) -> None:
    source = application(tmp_path / "app")
    (source / "package.json").unlink()
    if package is not None:
        (source / "package.json").write_text(package)
    with pytest.raises(BadInput, match=r"package\.json|version"):
        make(source, tmp_path / "dist")


def test_a_failing_command_shows_its_last_lines_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TurnoutError, match="ended with status 3") as caught:
        make(application(tmp_path / "app"), tmp_path / "dist", ["sh", "-c", "seq 100; exit 3"])
    assert caught.value.details == tuple(str(number) for number in range(61, 101))
    assert not (tmp_path / "dist").exists()


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot run `no-such-program"):
        run_command(["no-such-program", "x"], tmp_path)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not happen within 20 s"
        time.sleep(0.02)


LEAVES_A_CHILD = "sleep 300 & echo $! > child.part; mv child.part child; wait"


def test_a_command_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(TurnoutError, match="did not end within 1 s and was killed"):
        run_command(["sh", "-c", LEAVES_A_CHILD], tmp_path, timeout=1)
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: gone(child))


def test_an_interrupt_kills_the_command_with_its_children(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from fabfile.artifact.build import run_command; "
    program += f"run_command(['sh', '-c', {LEAVES_A_CHILD!r}], Path(sys.argv[1]))"
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stderr=subprocess.PIPE)
    try:
        wait_for((tmp_path / "child").exists)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert b"KeyboardInterrupt" in errors
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: gone(child))


def test_building_again_replaces_the_release_as_a_whole(tmp_path: Path) -> None:
    source = application(tmp_path / "app")
    identity = make(source, tmp_path / "dist")
    archive = tmp_path / "dist" / f"{identity}.tar.zst"
    archive.write_bytes(b"damaged")
    assert make(source, tmp_path / "dist") == identity
    scan(archive, read_manifest(archive))
