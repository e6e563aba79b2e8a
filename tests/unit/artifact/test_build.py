"""Builds: what gets in, what is refused, and that the same source always makes the same archive."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.artifact.archive import open_release, read_manifest, scan
from fabfile.artifact.build import build, pack, run_command, surroundings
from fabfile.config.schema import Check
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


BUILD = (
    "import sys; from pathlib import Path; from fabfile.artifact.build import build; "
    "command = ['sh', '-c', 'umask > made; date +%Z >> made; date -d @$SOURCE_DATE_EPOCH +%F >> made; touch b a; "
    "tar -c --sort=name --mtime=@$SOURCE_DATE_EPOCH a b > inner.tar; printf %s $LC_ALL >> made']; "
    "made = build(Path(sys.argv[1]), Path(sys.argv[2]), [command], [], lambda line: None); "
    "print(made.id, made.digest, made.commit)"
)


def built_by_a_stranger(source: Path, out: Path, umask: int, **variables: str) -> tuple[str, ...]:
    """Id, digest and commit of what another process builds, with a umask, a language and a time zone of its own."""
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(source), str(out)],
        env={**os.environ, **variables},
        umask=umask,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(done.stdout.split())


def test_the_same_commit_is_the_same_digest_whoever_builds_it_where_and_when(tmp_path: Path) -> None:
    """Two clones, made at different times, built by processes that differ in all that a machine may differ in."""
    source = application(tmp_path / "app")
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-qm", "Start", "--date=2026-01-01T12:00:00Z")
    for name in ("one", "a/longer/way/to/two"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        git(tmp_path, "clone", "-q", str(source), str(tmp_path / name))
    os.utime(tmp_path / "one" / "package.json", (1, 1))
    first = built_by_a_stranger(tmp_path / "one", tmp_path / "x", 0o022, TZ="UTC", LC_ALL="C")
    strange = {"TZ": "Asia/Kathmandu", "LC_ALL": "POSIX", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "5"}
    second = built_by_a_stranger(tmp_path / "a/longer/way/to/two", tmp_path / "y", 0o077, **strange)
    assert first == second
    archives = [(tmp_path / folder / f"{first[0]}.tar.zst").read_bytes() for folder in "xy"]
    assert archives[0] == archives[1]
    manifests = [read_manifest(tmp_path / folder / f"{first[0]}.tar.zst") for folder in "xy"]
    assert manifests[0].files == manifests[1].files


PATHS = st.sampled_from(["a", "b/a", "b/a.txt", "b-a", "B", "z/é", "z/" + "long" * 40, "ä"])


@given(st.dictionaries(PATHS, st.tuples(st.binary(max_size=50), st.booleans()), min_size=1), st.randoms())
def test_a_tree_is_packed_to_the_same_bytes_in_whatever_order_it_was_written(
    files: dict[str, tuple[bytes, bool]], random: Random
) -> None:
    packed = []
    for _ in range(2):
        order = list(files)
        random.shuffle(order)
        with tempfile.TemporaryDirectory() as folder:
            for path in order:
                content, runs = files[path]
                file = Path(folder, path)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(content)
                file.chmod(0o700 if runs else random.choice([0o600, 0o644, 0o666]))
                os.utime(file, (random.randrange(1 << 30),) * 2)
            buffer = io.BytesIO()
            packed.append((pack(Path(folder), buffer), buffer.getvalue()))
    assert packed[0] == packed[1]
    assert {file.path: file.mode == 0o755 for file in packed[0][0][0]} == {
        path: runs for path, (_, runs) in files.items()
    }


def test_the_archive_itself_says_nothing_of_time_owner_or_machine(tmp_path: Path) -> None:
    identity = make(application(tmp_path / "app"), tmp_path / "dist")
    plain = subprocess.run(
        ["zstd", "-q", "-dc", tmp_path / "dist" / f"{identity}.tar.zst"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        members = tar.getmembers()
    assert [member.name for member in members] == sorted(member.name for member in members)
    said = {(member.mtime, member.uid, member.gid, member.uname, member.gname) for member in members}
    assert said == {(0, 0, 0, "", "")}


def test_commands_are_told_when_the_source_was_committed() -> None:
    told = surroundings(1_700_000_000, {"TZ": "Asia/Kathmandu", "HOME": "/home/ann"})
    assert told == {"HOME": "/home/ann", "SOURCE_DATE_EPOCH": "1700000000", "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def check(line: str, timeout: float = 60.0) -> Check:
    return Check.model_construct(command=("sh", "-c", line), timeout=timeout)


def test_checks_see_the_source_that_is_built_and_leave_nothing_in_the_release(tmp_path: Path) -> None:
    heard: list[str] = []
    source = application(tmp_path / "app")
    checks = [check("test -x bin/run && test -L start && echo x > coverage && echo y > package.json")]
    checks += [check("test -f coverage")]
    excluded = ("node_modules",)
    made = build(source, tmp_path / "dist", [["sh", "-c", "test ! -e coverage"]], excluded, heard.append, checks)
    assert [file.path for file in made.files] == ["bin/run", "package.json"]
    assert made.id == make(source, tmp_path / "again")
    words = [line.split()[0] for line in heard]
    assert words == ["copy", "check", "check", "run", "pack"]


def test_the_first_check_that_fails_stops_the_build_with_its_last_lines(tmp_path: Path) -> None:
    checks = [check("true"), check("seq 100; exit 4"), check("touch ../../../never")]
    with pytest.raises(TurnoutError, match="check `sh -c 'seq 100; exit 4'` ended with status 4, so nothing") as caught:
        build(application(tmp_path / "app"), tmp_path / "dist", [], (), lambda line: None, checks)
    assert caught.value.code == 1
    assert caught.value.details == tuple(str(number) for number in range(61, 101))
    assert "build.checks.1" in caught.value.hint
    assert not (tmp_path / "dist").exists()


def test_a_check_that_hangs_is_killed_in_its_time(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(TurnoutError, match=r"did not end within 0\.5 s and was killed, so nothing was built"):
        build(application(tmp_path / "app"), tmp_path / "dist", [], (), lambda line: None, [check("sleep 300", 0.5)])
    assert time.monotonic() - begun < 60


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
