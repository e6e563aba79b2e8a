"""What is inside the parts of a recovery point: read to the end, and refused when that is missing."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import zstandard

from fabfile.artifact.archive import Release
from fabfile.artifact.identify import identify
from fabfile.errors import BadInput, Unverified
from fabfile.model.recovery_point import RELEASE, RecoveryPoint, StoredPart

CHUNK = 1 << 20
END = 1024
"""Bytes: a tar ends with two blocks of zeros."""


def decompressed(chunks: Iterable[bytes]) -> Generator[bytes, None, None]:
    """The plain bytes of zstd frames. Raises Unverified when they are damaged, or when the last one does not end."""
    frame: zstandard.ZstdDecompressionObj | None = None
    for chunk in chunks:
        while chunk:
            frame = frame or zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
            try:
                plain = frame.decompress(chunk)
            except zstandard.ZstdError as error:
                raise Unverified(f"is no zstd stream: {error}") from error
            chunk, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
            if plain:
                yield plain
    if frame is not None:
        raise Unverified("its zstd stream ends too early")


@contextmanager
def opened_tar(chunks: Iterable[bytes]) -> Iterator[tarfile.TarFile]:
    """A tar to be read once, member by member; the block must go through all of them.

    Raises Unverified when it is no tar, or when it does not end as a tar ends: tarfile takes anything for an end.
    """
    plain = _Plain(chunks)
    try:
        with tarfile.open(fileobj=plain, mode="r|", bufsize=CHUNK, encoding="utf-8") as tar:
            yield tar
            end = tar.offset
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise Unverified(f"is no tar: {error}") from error
    while plain.read(CHUNK):
        pass
    if plain.last > end or plain.size < end + END:
        raise Unverified(f"its tar breaks off after {end} bytes")


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members one after the other, none of which is kept: there may be millions."""
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]


def unpacked_bytes(chunks: Iterable[bytes]) -> int:
    """How much the files of a compressed tar take, which is read to its end. Raises Unverified for a damaged one."""
    with opened_tar(decompressed(chunks)) as tar:
        return sum(member.size for member in members(tar))


def opened_release(point: RecoveryPoint, part: StoredPart, chunks: Iterable[bytes], folder: Path) -> Release:
    """The release archive of a backup, brought to `folder`. Raises Unverified when it is not that release."""
    assert part.name == RELEASE and point.release, "a backup with an archive names its release"
    path = folder / f"{point.release}.tar.zst"
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    try:
        return identify(path, point.release, part.sha256)
    except BadInput as error:
        raise Unverified(error.fact) from error


class _Plain(io.RawIOBase):
    """Chunks as a file; it knows how much came, and where the last byte was that is not zero."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""
        self.size = self.last = 0

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; none at the end only."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
            if filled := len(self._rest.rstrip(b"\0")):
                self.last = self.size + filled
            self.size += len(self._rest)
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
