"""Parts read to their ends: whatever is missing or wrong anywhere in them is noticed."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fabfile.commands import shared_files
from fabfile.errors import Unverified
from fabfile.model.paths import Paths
from fabfile.recovery.contents import decompressed, unpacked_bytes
from fabfile.remote.local import LocalHost


def packed(**files: bytes) -> bytes:
    """A plain tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@given(st.binary(max_size=5000), st.integers(1, 700), st.integers(0, 3))
def test_frames_come_apart_at_any_byte(data: bytes, size: int, further: int) -> None:
    frames = zstandard.compress(data) + zstandard.compress(b"more") * further
    assert b"".join(decompressed(pieces(frames, size))) == data + b"more" * further


@given(st.data())
def test_a_frame_that_is_cut_anywhere_is_noticed(data: st.DataObject) -> None:
    frame = zstandard.compress(b"content" * 500)
    cut = data.draw(st.integers(1, len(frame) - 1))
    with pytest.raises(Unverified, match="zstd"):
        b"".join(decompressed([frame[:cut]]))


def test_what_is_no_zstd_is_refused() -> None:
    with pytest.raises(Unverified, match="is no zstd stream"):
        b"".join(decompressed([b"PGDMP" * 10]))


def test_what_the_hosts_pack_is_read_whole(tmp_path: Path) -> None:
    paths = Paths("shop", base=str(tmp_path))
    empty = LocalHost().stream(shared_files.pack(paths))
    assert unpacked_bytes(empty) == 0
    uploads = Path(paths.shared, "uploads")
    uploads.mkdir(parents=True)
    for number in range(50):
        (uploads / f"{number} {'long' * 50}").write_bytes(bytes(1000 + number))
    (uploads / "link").symlink_to("0")
    wanted = sum(1000 + number for number in range(50))
    assert unpacked_bytes(LocalHost().stream(shared_files.pack(paths))) == wanted


@given(st.data())
def test_a_tar_that_is_cut_anywhere_is_noticed(data: st.DataObject) -> None:
    tar = packed(a=b"1" * 700, b=b"", c=b"3" * 512)
    content = 512 * (1 + 2 + 1 + 1 + 1)
    cut = data.draw(st.integers(0, content + 1023))
    with pytest.raises(Unverified, match="tar"):
        unpacked_bytes([zstandard.compress(tar[:cut])])


@pytest.mark.parametrize("block", [0, 3, 4])
def test_a_damaged_header_is_noticed_although_readers_of_tar_take_it_for_the_end(block: int) -> None:
    tar = bytearray(packed(a=b"1" * 700, b=b"", c=b"3" * 512))
    tar[512 * block + 150] ^= 1  # in the header's checksum
    with pytest.raises(Unverified, match="tar"):
        unpacked_bytes([zstandard.compress(bytes(tar))])


def test_members_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x")
    names = "\0".join(["f"] * 3000).encode()
    words = ["tar", "-c", "-C", str(tmp_path), "--hard-dereference", "--null", "-T", "-"]
    tar = subprocess.run(words, input=names, capture_output=True, check=True).stdout
    assert unpacked_bytes([zstandard.compress(tar)]) == 3000
