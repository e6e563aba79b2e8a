"""The scripts about shared files, run by bash on real directories: odd names, broken streams, repeats and breaks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fabfile.commands import archive, shared_files
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.remote.local import LocalHost

RUN = "20250131T030000-0a1b"
ODD = ("a b", "new\nline", "-rf", "--files-from=x", "'quo\"te$(x)", "ümläut", "back\\slash", "*", ".hidden")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths("exam'ple app", base=str(tmp_path))
    Path(found.root).mkdir()
    return found


def write(root: str, **files: str) -> None:
    for name, content in files.items():
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def tree(path: str | Path) -> dict[str, tuple[int, str | bytes]]:
    """Every entry below, with its mode and its content or target."""
    found: dict[str, tuple[int, str | bytes]] = {}
    for entry in sorted(Path(path).rglob("*")):
        mode = entry.lstat().st_mode
        if entry.is_symlink():
            found[str(entry.relative_to(path))] = (mode, str(entry.readlink()))
        else:
            found[str(entry.relative_to(path))] = (mode, entry.read_bytes() if entry.is_file() else "folder")
    return found


def inside(paths: Paths) -> set[str]:
    return {entry.name for entry in Path(paths.root).iterdir()}


def run(script: Script, data: bytes = b"") -> None:
    LocalHost().run(script, [data])


def packed(paths: Paths) -> bytes:
    return b"".join(LocalHost().stream(shared_files.pack(paths)))


@pytest.fixture
def unpacked(paths: Paths) -> Iterator[Paths]:
    """Live files that say `now`, and restored ones beside them that say `then`."""
    write(paths.shared, file="then")
    data = packed(paths)
    write(paths.shared, file="now")
    run(shared_files.unpack_beside(paths, RUN), data)
    yield paths


def content(paths: Paths) -> str:
    return (Path(paths.shared) / "file").read_text()


def test_files_of_any_name_mode_and_kind_come_back_as_they_were(paths: Paths) -> None:
    shared = Path(paths.shared)
    for name in ODD:
        write(paths.shared, **{f"uploads/{name}": name})
    (shared / "uploads" / "a b").chmod(0o640)
    (shared / "empty folder").mkdir(mode=0o700)
    (shared / "link").symlink_to("/nowhere/at all")
    (shared / "large").write_bytes(os.urandom(3_000_000))
    shared.chmod(0o751)
    run(shared_files.unpack_beside(paths, RUN), packed(paths))
    beside = Path(paths.root) / f".shared.{RUN}"
    assert tree(beside) == tree(shared)
    assert beside.stat().st_mode == shared.stat().st_mode
    assert inside(paths) == {"shared", beside.name}


def test_a_host_without_shared_files_gives_an_archive_that_unpacks_to_nothing(paths: Paths) -> None:
    run(shared_files.unpack_beside(paths, RUN), packed(paths))
    assert tree(Path(paths.root) / f".shared.{RUN}") == {}


def test_a_file_that_grows_while_it_is_packed_does_not_fail_the_backup(paths: Paths) -> None:
    growing = Path(paths.shared) / "log"
    write(paths.shared, other="kept")
    growing.write_bytes(os.urandom(40_000_000))
    with growing.open("ab") as file:
        chunks = LocalHost().stream(shared_files.pack(paths))
        data = []
        for chunk in chunks:
            file.write(b"more")
            file.flush()
            data.append(chunk)
    run(shared_files.unpack_beside(paths, RUN), b"".join(data))
    assert (Path(paths.root) / f".shared.{RUN}" / "other").read_text() == "kept"


def test_a_file_that_cannot_be_read_fails_the_backup(paths: Paths) -> None:
    write(paths.shared, file="now")
    script = shared_files.pack(paths)
    broken = Script('tar() { command tar "$@" /nowhere/to-be-found; }\n' + script.text, script.timeout)
    with pytest.raises(RemoteError, match="Cannot stat"):
        b"".join(LocalHost().stream(broken))


@pytest.mark.parametrize("cut", [0, 1, 1000, -1])
def test_a_stream_that_ends_early_leaves_nothing_that_could_be_swapped_in(paths: Paths, cut: int) -> None:
    write(paths.shared, file="now", large="".join(map(str, range(50_000))))
    with pytest.raises(RemoteError, match="did not arrive whole"):
        run(shared_files.unpack_beside(paths, RUN), packed(paths)[:cut])
    assert not (Path(paths.root) / f".shared.{RUN}").exists()
    with pytest.raises(RemoteError, match="no restored files"):
        run(shared_files.swap_shared(paths, RUN))
    assert content(paths) == "now"


def test_unpacking_again_starts_afresh(unpacked: Paths) -> None:
    write(unpacked.root, **{f".shared.{RUN}/stray": "x", f".shared.{RUN}.part/stray": "x"})
    run(shared_files.unpack_beside(unpacked, RUN), packed(unpacked))
    assert tree(Path(unpacked.root) / f".shared.{RUN}") == tree(unpacked.shared)
    assert inside(unpacked) == {"shared", f".shared.{RUN}"}


def test_a_swap_can_be_repeated_and_taken_back_and_repeated_again(unpacked: Paths) -> None:
    before = tree(unpacked.shared)
    for _ in range(2):
        for _ in range(2):
            run(shared_files.swap_shared(unpacked, RUN))
            assert content(unpacked) == "then"
            assert inside(unpacked) == {"shared", f".shared.before-{RUN}"}
        for _ in range(2):
            run(shared_files.unswap_shared(unpacked, RUN))
            assert tree(unpacked.shared) == before
            assert inside(unpacked) == {"shared", f".shared.{RUN}"}


@pytest.mark.parametrize(
    ("script", "expected"), [(shared_files.swap_shared, "then"), (shared_files.unswap_shared, "now")]
)
def test_a_swap_that_broke_off_between_its_renames_is_finished_or_taken_back(
    unpacked: Paths, script: Callable[[Paths, str], Script], expected: str
) -> None:
    Path(unpacked.shared).rename(Path(unpacked.root) / f".shared.before-{RUN}")
    run(script(unpacked, RUN))
    assert content(unpacked) == expected


@pytest.mark.parametrize("script", [shared_files.swap_shared, shared_files.unswap_shared])
def test_files_made_anew_during_a_broken_swap_are_never_overwritten(
    unpacked: Paths, script: Callable[[Paths, str], Script]
) -> None:
    Path(unpacked.shared).rename(Path(unpacked.root) / f".shared.before-{RUN}")
    write(unpacked.shared, file="new")
    everything = tree(unpacked.root)
    with pytest.raises(RemoteError, match="made anew"):
        run(script(unpacked, RUN))
    assert tree(unpacked.root) == everything


def test_a_host_that_had_no_shared_files_has_none_again_after_the_way_back(unpacked: Paths) -> None:
    shutil.rmtree(unpacked.shared)
    run(shared_files.swap_shared(unpacked, RUN))
    assert content(unpacked) == "then"
    run(shared_files.unswap_shared(unpacked, RUN))
    assert tree(unpacked.shared) == {}


def test_taking_back_where_nothing_was_swapped_changes_nothing(unpacked: Paths) -> None:
    everything = tree(unpacked.root)
    run(shared_files.unswap_shared(unpacked, RUN))
    assert tree(unpacked.root) == everything


def test_dropping_removes_what_lies_beside_and_keeps_what_can_be_given_back(unpacked: Paths) -> None:
    run(shared_files.swap_shared(unpacked, RUN))
    for _ in range(2):
        run(shared_files.drop_beside(unpacked, RUN))
        assert inside(unpacked) == {"shared", f".shared.before-{RUN}"}
    for _ in range(2):
        run(shared_files.drop_before(unpacked, RUN))
        assert inside(unpacked) == {"shared"}
    assert content(unpacked) == "then"


def test_only_a_sound_release_archive_is_called_so_and_sent(paths: Paths) -> None:
    host = LocalHost()
    assert host.run(archive.sound(paths, "1.0.0")).stdout == ""
    data = packed(paths)
    file = Path(paths.releases) / "1.0.0.tar.zst"
    write(paths.releases, **{file.name: ""})
    file.write_bytes(data)
    assert host.run(archive.sound(paths, "1.0.0")).stdout == "sound\n"
    assert b"".join(host.stream(archive.send(paths, "1.0.0"))) == data
    file.write_bytes(data[:-1])
    assert host.run(archive.sound(paths, "1.0.0")).stdout == ""


def test_what_a_swap_kept_is_listed_and_comes_back_by_the_swap_that_undoes_it(unpacked: Paths) -> None:
    host = LocalHost()
    assert shared_files.parse_kept(host.run(shared_files.list_kept(unpacked)).stdout) == {}
    run(shared_files.swap_shared(unpacked, RUN))
    kept = shared_files.parse_kept(host.run(shared_files.list_kept(unpacked)).stdout)
    assert list(kept) == [RUN]
    assert kept[RUN] > 0
    later = "20250201T030000-0a1b"
    for _ in range(2):
        run(shared_files.swap_shared(unpacked, later, undoes=RUN))
        assert content(unpacked) == "now"
    assert list(shared_files.parse_kept(host.run(shared_files.list_kept(unpacked)).stdout)) == [later]
    for _ in range(2):
        run(shared_files.unswap_shared(unpacked, later, undoes=RUN))
        assert content(unpacked) == "then"
    assert list(shared_files.parse_kept(host.run(shared_files.list_kept(unpacked)).stdout)) == [RUN]


def test_a_host_without_the_application_keeps_nothing(tmp_path: Path) -> None:
    assert LocalHost().run(shared_files.list_kept(Paths("absent", base=str(tmp_path)))).stdout == ""
