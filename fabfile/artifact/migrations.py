"""The SQL files of a release, out of its archive, and those of the working copy that the next one is built from."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import zstandard

from fabfile.artifact.archive import FOREIGN, WINDOW, Release
from fabfile.errors import BadInput
from fabfile.model.migration import Migration
from fabfile.planning.migration_files import read, sql_paths

LARGEST = 1 << 20
"""Bytes that one file may have: data of such size is no migration."""


def read_release(release: Release, folder: str) -> tuple[Migration, ...]:
    """The migrations of a release. Raises BadInput for files that cannot be used, or when there is none at all."""
    manifest = release.manifest
    wanted = sql_paths(manifest, folder)
    origin = f"{manifest.id}, {folder}"
    if not wanted:
        raise BadInput(
            f"{manifest.id} holds no SQL file in {folder}", "is migrations.folder right? --skip-migrate goes on"
        )
    checksums = {file.path: file.sha256 for file in manifest.files}
    files: dict[str, bytes] = {}
    try:
        with release.path.open("rb") as file, tarfile.open(fileobj=_decoded(file), mode="r|") as tar:
            for member in tar:
                if member.name in wanted:
                    files[wanted[member.name]] = _content(tar, member, checksums[member.name])
                if len(files) == len(wanted):
                    break
    except (OSError, tarfile.TarError, zstandard.ZstdError) as error:
        raise BadInput(f"{release.path} cannot be read: {error}", FOREIGN) from error
    if lacking := sorted(set(wanted.values()) - set(files)):
        raise BadInput(f"{release.path} lacks {lacking[0]}, which its manifest lists", FOREIGN)
    return read(files, origin)


def read_folder(folder: Path) -> dict[str, bytes]:
    """The SQL files in a folder by their names; none where there is no such folder. Raises BadInput."""
    try:
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.sql"))}
    except OSError as error:
        raise BadInput(f"{error.filename} cannot be read: {error.strerror}", f"ls -l {folder}") from error


def _decoded(file: object) -> zstandard.ZstdDecompressionReader:
    return zstandard.ZstdDecompressor(max_window_size=WINDOW).stream_reader(file, read_across_frames=True)  # type: ignore[arg-type]


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, checksum: str) -> bytes:
    if member.size > LARGEST:
        raise BadInput(f"{member.name} has {member.size} bytes, more than a migration may", "load data in another way")
    found = tar.extractfile(member)
    content = found.read() if found else b""
    if hashlib.sha256(content).hexdigest() != checksum:
        raise BadInput(f"{member.name} is not the file that the manifest lists", FOREIGN)
    return content
