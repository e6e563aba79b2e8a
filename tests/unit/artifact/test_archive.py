"""Opening and scanning: nothing reaches a host that its manifest does not list exactly."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from fabfile.artifact.archive import Limits, manifest_path, open_release, read_manifest, scan
from fabfile.artifact.build import build
from fabfile.errors import BadInput
from fabfile.model.release import Manifest, ReleaseFile, ReleaseLink, release_id, unsafe_path

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"hello", mode: int = 0o644) -> Member:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def special(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def tar(members: Iterable[Member], headers: dict[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers=headers) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def manifest(files: Iterable[Member] = (), links: Iterable[tuple[str, str]] = ()) -> Manifest:
    listed = tuple(
        ReleaseFile(info.name, info.mode, len(content), hashlib.sha256(content).hexdigest()) for info, content in files
    )
    linked = tuple(ReleaseLink(*link) for link in links)
    return Manifest(
        format=1,
        id=release_id("1.0.0", listed, linked),
        name="shop",
        version="1.0.0",
        digest="0" * 64,
        size=0,
        unpacked=sum(entry.size for entry in listed),
        commit=None,
        dirty=False,
        builder="team@ci",
        built_at="2026-01-01T00:00:00Z",
        files=listed,
        links=linked,
    )


def check(folder: Path, data: bytes, listed: Manifest, compress: Callable[[bytes], bytes] = zstandard.compress) -> None:
    path = folder / "x.tar.zst"
    path.write_bytes(compress(data))
    scan(path, listed)


ORDINARY = [file("a"), file("b/c", b"x" * 9000, 0o755)]


def test_what_the_manifest_lists_passes(tmp_path: Path) -> None:
    members = [*ORDINARY, special("b/d", tarfile.SYMTYPE, "../a")]
    check(tmp_path, tar(members), manifest(ORDINARY, [("b/d", "../a")]))


@pytest.mark.parametrize(
    ("hostile", "problem"),
    [
        (file("/etc/passwd"), "'/etc/passwd' is not a relative path"),
        (file("../x"), "climbs with '..'"),
        (file("b/../../x"), "climbs with '..'"),
        (file("./x"), "is not a plain path"),
        (file(".turnout/env"), "belongs to the host"),
        (file("x\nb"), "control character"),
        (file("x\\b"), "backslash"),
        (file("n" * 300), "too long"),
        (file("extra"), "'extra' is not listed in the manifest"),
        (file("a"), "'a' is there twice"),
        (file("x", mode=0o4755), "setuid"),
        (file("x", mode=0o1644), "sticky"),
        (file("x", mode=0o664), "may be written by others"),
        (file("x", mode=0o666), "may be written by others"),
        (special("x", tarfile.SYMTYPE, "/etc"), "points to an absolute path"),
        (special("x", tarfile.SYMTYPE, "../etc"), "points out of the release"),
        (special("b/x", tarfile.SYMTYPE, "../../etc"), "points out of the release"),
        (special("x", tarfile.SYMTYPE, "b/../../etc"), "points out of the release"),
        (special("x", tarfile.LNKTYPE, "a"), "is a hard link"),
        (special("x", tarfile.CHRTYPE), "is a device"),
        (special("x", tarfile.BLKTYPE), "is a device"),
        (special("x", tarfile.FIFOTYPE), "is a named pipe"),
        (special("x", tarfile.DIRTYPE), "is a directory"),
    ],
)
def test_a_hostile_member_is_refused_and_named(tmp_path: Path, hostile: Member, problem: str) -> None:
    with pytest.raises(BadInput, match=problem.replace("..", r"\.\.")) as caught:
        check(tmp_path, tar([*ORDINARY, hostile]), manifest(ORDINARY))
    assert "x.tar.zst" in caught.value.fact
    assert caught.value.hint


def test_a_path_through_a_symlink_is_refused(tmp_path: Path) -> None:
    members = [special("link", tarfile.SYMTYPE, "b"), file("link/x")]
    with pytest.raises(BadInput, match="passes through the symlink 'link'"):
        check(tmp_path, tar(members), manifest([], [("link", "b")]))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ([file("a", b"other"), ORDINARY[1]], "'a' has SHA-256"),
        ([file("a", b"longer than"), ORDINARY[1]], "'a' has 11 bytes"),
        ([file("a", mode=0o755), ORDINARY[1]], "mode 0755, the manifest says 5 and 0644"),
        ([ORDINARY[0]], "lacks 'b/c'"),
        ([special("a", tarfile.SYMTYPE, "b/c"), ORDINARY[1]], "points to 'b/c'"),
    ],
)
def test_a_difference_from_the_manifest_is_refused(tmp_path: Path, members: list[Member], problem: str) -> None:
    with pytest.raises(BadInput, match=problem):
        check(tmp_path, tar(members), manifest(ORDINARY))


def test_headers_that_no_build_writes_are_refused(tmp_path: Path) -> None:
    info, content = file("a")
    info.pax_headers = {"SCHILY.xattr.user.x": "1"}
    with pytest.raises(BadInput, match="SCHILY"):
        check(tmp_path, tar([(info, content)]), manifest([file("a")]))
    with pytest.raises(BadInput, match="has the header 'comment'"):
        check(tmp_path, tar(ORDINARY, {"comment": "x"}), manifest(ORDINARY))
    with pytest.raises(BadInput, match="headers for all its members: linkpath"):
        check(tmp_path, tar(ORDINARY, {"linkpath": "/etc"}), manifest(ORDINARY))


@pytest.mark.parametrize("kept", [0, 3, 20, 60, -600, -60, -5])
def test_a_truncated_archive_is_refused(tmp_path: Path, kept: int) -> None:
    members = [file("a", os.urandom(20_000))]
    with pytest.raises(BadInput, match=r"truncated|no zstd data"):
        check(tmp_path, tar(members), manifest(members), lambda data: zstandard.compress(data)[:kept])


def test_what_is_not_one_frame_of_zstd_is_refused(tmp_path: Path) -> None:
    listed = manifest(ORDINARY)
    with pytest.raises(BadInput, match="no zstd data"):
        check(tmp_path, tar(ORDINARY), listed, lambda data: data)
    with pytest.raises(BadInput, match="holds more than it announces"):
        check(tmp_path, tar(ORDINARY), listed, lambda data: zstandard.compress(data) + zstandard.compress(b"\0" * 512))
    with pytest.raises(BadInput, match="truncated or no tar"):
        check(tmp_path, tar(ORDINARY), listed, lambda data: zstandard.compress(data) + b"garbage")
    with pytest.raises(BadInput, match="unpacks to more"):
        unsized = zstandard.ZstdCompressor(write_content_size=False)
        check(tmp_path, tar(ORDINARY), listed, unsized.compress)
    with pytest.raises(BadInput, match="data after its end"):
        check(tmp_path, tar(ORDINARY) + b"more".ljust(512), listed)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bomb"):
        check(tmp_path, tar([file("a", bytes(40 << 20))]), manifest([file("a")]))
    path = tmp_path / "x.tar.zst"
    with pytest.raises(BadInput, match="holds 2 files, more than 1"):
        scan(path, manifest(ORDINARY), Limits(members=1))
    with pytest.raises(BadInput, match="unpacks to 9005 bytes, more than 9000"):
        scan(path, manifest(ORDINARY), Limits(unpacked=9000))


@given(name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40))
@settings(max_examples=200)
def test_no_member_name_passes_that_is_not_listed(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(BadInput):
        check(tmp_path_factory.getbasetemp(), tar([*ORDINARY, file(name)]), manifest(ORDINARY))


HOSTILE_PARTS = st.lists(st.sampled_from(["..", ".", "", "a", "b", "x\n", "\\", ".turnout"]), min_size=1, max_size=5)


@given(parts=HOSTILE_PARTS)
@settings(max_examples=300)
def test_a_path_that_is_accepted_stays_below_its_folder(parts: list[str]) -> None:
    path = "/".join(parts)
    if unsafe_path(path) is None:
        assert posixpath.normpath(f"/root/slot/{path}") == f"/root/slot/{path}"
        assert not path.startswith(".turnout")


NAMES = st.text(st.characters(categories=("Ll", "Lu", "Nd", "So"), max_codepoint=0x1FAFF), min_size=1, max_size=60)


@given(
    content=st.dictionaries(st.tuples(NAMES, NAMES).map("/".join), st.binary(max_size=2000), max_size=6),
    executable=st.booleans(),
)
@settings(max_examples=30)
def test_what_is_built_opens_and_scans(
    content: dict[str, bytes], executable: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("built")
    source = folder / "app"
    source.mkdir()
    (source / "package.json").write_text('{"name": "shop", "version": "1.0.0+7"}')
    for path, data in content.items():
        (source / path).parent.mkdir(exist_ok=True)
        (source / path).write_bytes(data)
        (source / path).chmod(0o700 if executable else 0o600)
    made = build(source, folder / "dist", (), (), lambda line: None)
    release = open_release(None, folder / "dist")
    assert release.manifest == made
    scan(release.path, release.manifest)
    wanted = {path: hashlib.sha256(data).hexdigest() for path, data in content.items()}
    assert {entry.path: entry.sha256 for entry in made.files if entry.path != "package.json"} == wanted


def saved(folder: Path, name: str, age: float = 0) -> Path:
    path = folder / f"{name}.tar.zst"
    data = zstandard.compress(tar(ORDINARY))
    path.write_bytes(data)
    made = replace(manifest(ORDINARY), digest=hashlib.sha256(data).hexdigest(), size=len(data))
    manifest_path(path).write_text(made.to_json())
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_a_release_is_found_by_id_by_path_and_as_the_newest(tmp_path: Path) -> None:
    old, new = saved(tmp_path, "1.0.0-old", age=50), saved(tmp_path, "1.0.0-new")
    assert open_release("1.0.0-old", tmp_path).path == old
    assert open_release(str(old), tmp_path / "elsewhere").path == old
    assert open_release(None, tmp_path).path == new


def test_a_release_that_is_not_there_names_the_newest_three(tmp_path: Path) -> None:
    for age in range(5):
        saved(tmp_path, f"1.0.{age}", age=age)
    with pytest.raises(BadInput, match=r"there is no release 2\.0\.0") as caught:
        open_release("2.0.0", tmp_path)
    assert caught.value.hint == "name one of: 1.0.0, 1.0.1, 1.0.2"
    with pytest.raises(BadInput, match="there is no release in") as caught:
        open_release(None, tmp_path / "none")
    assert "inv build" in caught.value.hint
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=r"is no \.tar\.zst archive"):
        open_release(str(tmp_path / "notes.txt"), tmp_path)


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, "1.0.0")
    manifest_path(path).unlink()
    with pytest.raises(BadInput, match=r"1\.0\.0\.json: No such file"):
        open_release(str(path), tmp_path)


def test_a_corrupt_archive_is_named_with_both_digests(tmp_path: Path) -> None:
    path = saved(tmp_path, "1.0.0")
    wanted = read_manifest(path).digest
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BadInput, match=f"is corrupt: SHA-256 is [0-9a-f]{{64}}, the manifest says {wanted}"):
        open_release(str(path), tmp_path)
