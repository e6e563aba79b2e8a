"""Trees and archives on a real file system: whole or absent, and given back wherever a run stops."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from fabfile.commands import release
from fabfile.config.schema import ReleaseSettings
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.remote.local import LocalHost

HOST = LocalHost("h1")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    Path(tmp_path, "shop", ".turnout").mkdir(parents=True)
    return Paths("shop", base=str(tmp_path))


def tree(paths: Paths, slot: str, run: str, text: str) -> None:
    folder = Path(paths.root, "slots", slot)
    (folder / ".turnout").mkdir(parents=True)
    (folder / ".turnout" / "run").write_text(run)
    (folder / "server.js").write_text(text)


def content(paths: Paths, slot: str) -> str | None:
    file = Path(paths.root, "slots", slot, "server.js")
    return file.read_text() if file.exists() else None


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    return subprocess.run(["zstd", "-q", "-c"], input=buffer.getvalue(), capture_output=True, check=True).stdout


def control(files: dict[str, bytes]) -> bytes:
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in files.items())
    return release.control_archive(
        {
            "checksums": (0o644, sums.encode()),
            "env": (0o600, b"KEY=v\n"),
            "manifest": (0o644, b"{}"),
            "run": (0o644, b"r2"),
        }
    )


def test_an_archive_is_stored_only_with_the_right_digest(paths: Paths, tmp_path: Path) -> None:
    file = tmp_path / "1.0.tar.zst"
    file.write_bytes(b"an archive")
    right = hashlib.sha256(b"an archive").hexdigest()
    with pytest.raises(RemoteError, match="damaged"):
        HOST.run(release.receive(paths, "r", "1.0", "0" * 64, file))
    assert list(Path(paths.releases).iterdir()) == []
    HOST.run(release.receive(paths, "r", "1.0", right, file))
    HOST.run(release.receive(paths, "r", "1.0", right, file))
    assert [f.name for f in Path(paths.releases).iterdir()] == ["1.0.tar.zst"]


def test_a_release_is_unpacked_verified_and_linked_to_what_is_shared(paths: Paths) -> None:
    files = {"server.js": b"new", "uploads/.keep": b""}
    Path(paths.releases).mkdir()
    Path(paths.releases, "1.0.tar.zst").write_bytes(archive(files))
    HOST.run(release.unpack(paths, "green", "1.0", ReleaseSettings(shared=("uploads",)), control(files)))
    new = Path(paths.root, "slots", ".green.new")
    assert (new / "server.js").read_text() == "new"
    assert (new / "uploads").resolve() == Path(paths.shared, "uploads").resolve()
    assert (new / ".turnout" / "env").stat().st_mode & 0o777 == 0o600
    assert (new / "server.js").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("before", ["its own", "another's", "torn", "none"])
def test_a_kept_archive_keeps_the_manifest_that_describes_it(paths: Paths, before: str) -> None:
    """One of the same content that other tools packed has another digest, and is not sent again."""
    files = {"server.js": b"new"}
    packed, kept = archive(files), Path(paths.releases, "1.0.json")
    Path(paths.releases).mkdir()
    Path(paths.releases, "1.0.tar.zst").write_bytes(packed)
    own = f' "digest": "{hashlib.sha256(packed).hexdigest()}",'
    texts = {"its own": own, "another's": f' "digest": "{"f" * 64}",', "torn": ""}
    if before in texts:
        kept.write_text(texts[before])
    for _ in range(2):
        HOST.run(release.unpack(paths, "green", "1.0", ReleaseSettings(), control(files)))
        assert kept.read_text() == (own if before == "its own" else "{}")
    assert not Path(paths.root, "slots", ".green.new", ".turnout", "manifest").exists()


@pytest.mark.parametrize("damage", ["content", "missing", "cut"])
def test_a_tree_that_differs_from_its_manifest_is_refused(paths: Paths, damage: str) -> None:
    files = {"server.js": b"new" * 1000, "lib.js": b"lib"}
    packed = archive({"server.js": b"old", "lib.js": b"lib"} if damage == "content" else files)
    if damage == "missing":
        packed = archive({"lib.js": b"lib"})
    Path(paths.releases).mkdir()
    Path(paths.releases, "1.0.tar.zst").write_bytes(packed[: len(packed) // 2] if damage == "cut" else packed)
    with pytest.raises(RemoteError):
        HOST.run(release.unpack(paths, "green", "1.0", ReleaseSettings(), control(files)))
    assert content(paths, "green") is None
    HOST.run(release.discard(paths, "green"))
    assert list(Path(paths.root, "slots").iterdir()) == []


def test_placing_keeps_the_former_tree_until_it_is_taken_back(paths: Paths) -> None:
    tree(paths, "green", "r1", "old")
    tree(paths, ".green.new", "r2", "new")
    HOST.run(release.place(paths, "green", "r2"))
    HOST.run(release.place(paths, "green", "r2"))
    assert (content(paths, "green"), content(paths, ".green.kept")) == ("new", "old")
    HOST.run(release.unplace(paths, "green", "r2"))
    HOST.run(release.unplace(paths, "green", "r2"))
    assert (content(paths, "green"), content(paths, ".green.kept")) == ("old", None)


def test_taking_back_a_placement_that_never_began_changes_nothing(paths: Paths) -> None:
    tree(paths, "green", "r1", "old")
    HOST.run(release.unplace(paths, "green", "r2"))
    assert content(paths, "green") == "old"


def test_a_placement_cut_between_its_renames_is_taken_back(paths: Paths) -> None:
    tree(paths, ".green.kept", "r1", "old")
    tree(paths, ".green.new", "r2", "new")
    HOST.run(release.unplace(paths, "green", "r2"))
    HOST.run(release.discard(paths, "green"))
    assert content(paths, "green") == "old"


def test_the_tree_of_an_unfinished_run_never_displaces_the_one_that_was_good(paths: Paths) -> None:
    tree(paths, ".green.kept", "r1", "good")
    tree(paths, "green", "r2", "unfinished")
    tree(paths, ".green.new", "r3", "new")
    HOST.run(release.place(paths, "green", "r3"))
    assert (content(paths, "green"), content(paths, ".green.kept")) == ("new", "good")


def test_recording_keeps_the_newest_archives_and_those_in_use(paths: Paths) -> None:
    tree(paths, "green", "r2", "new")
    tree(paths, "blue", "r1", "old")
    Path(paths.root, "slots/green/.turnout/slot").write_text("release=9\nport=3002\n")
    Path(paths.root, "slots/blue/.turnout/slot").write_text("release=1\nport=3001\n")
    Path(paths.releases).mkdir()
    for number in range(1, 10):
        file = Path(paths.releases, f"{number}.tar.zst")
        file.touch()
        os.utime(file, (1000 + number, 1000 + number))
    entry = '{"verb":"deploy","run":"r2"}'
    for _ in range(2):
        HOST.run(release.record(paths, "green", "r2", entry, "9", "1", "it was slow"))
    HOST.run(release.tidy(paths, keep=3))
    assert sorted(f.name[0] for f in Path(paths.releases).iterdir()) == ["1", "7", "8", "9"]
    assert Path(paths.state, "history.jsonl").read_text() == f"{entry}\n"
    assert Path(paths.state, "bad/1").read_text() == "it was slow\n"
    assert Path(paths.root, "slots/green/.turnout/proven").exists()


def unpacked(paths: Paths, slot: str, version: str, files: dict[str, bytes]) -> Path:
    """A slot's new tree of a release with assets."""
    Path(paths.releases).mkdir(exist_ok=True)
    Path(paths.releases, f"{version}.tar.zst").write_bytes(archive(files))
    settings = ReleaseSettings(assets=("public/assets",))
    HOST.run(release.unpack(paths, "green" if slot == "green" else "blue", version, settings, control(files)))
    return Path(paths.root, "slots", f".{slot}.new")


def test_assets_are_served_from_the_release_before_and_after_a_switch(paths: Paths) -> None:
    old = unpacked(
        paths, "blue", "1.0", {"server.js": b"1", "public/assets/app.111.js": b"one", "public/assets/x.js": b"x"}
    )
    new = unpacked(
        paths, "green", "2.0", {"server.js": b"2", "public/assets/app.222.js": b"two", "public/assets/x.js": b"x"}
    )
    for tree in (old, new):
        found = {file.name: file.read_bytes() for file in (tree / "public" / "assets").iterdir()}
        assert found == {"app.111.js": b"one", "app.222.js": b"two", "x.js": b"x"}


def test_an_asset_that_changes_under_its_name_is_refused(paths: Paths) -> None:
    unpacked(paths, "blue", "1.0", {"public/assets/app.js": b"one"})
    with pytest.raises(RemoteError, match="its name did not"):
        unpacked(paths, "green", "2.0", {"public/assets/app.js": b"two"})


def test_only_old_assets_that_no_slot_lists_are_removed(paths: Paths) -> None:
    tree(paths, "green", "r2", "new")
    Path(paths.root, "slots/green/.turnout/checksums").write_text(f"{'0' * 64}  public/old-but-used.js\n")
    Path(paths.assets, "public").mkdir(parents=True)
    for name, days in (("old.js", 40), ("old-but-used.js", 40), ("young.js", 2)):
        file = Path(paths.assets, "public", name)
        file.touch()
        os.utime(file, (file.stat().st_mtime - days * 86400,) * 2)
    HOST.run(release.tidy(paths, keep=3))
    assert sorted(file.name for file in Path(paths.assets, "public").iterdir()) == ["old-but-used.js", "young.js"]


def test_tidying_where_there_is_nothing_succeeds(paths: Paths) -> None:
    Path(paths.releases).mkdir()
    HOST.run(release.tidy(paths, keep=3))
    assert list(Path(paths.releases).iterdir()) == []
