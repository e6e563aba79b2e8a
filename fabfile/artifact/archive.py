"""A release on this machine: found in dist/, proven whole, and scanned for whatever could harm a host."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from fabfile.errors import BadInput
from fabfile.model.release import Manifest, ReleaseFile, is_release_id, unsafe_path, unsafe_target

ARCHIVE = ".tar.zst"
SIGNATURE = ".sig"
"""What ssh-keygen adds to the name of the file that it signs."""
CHUNK = 1 << 20
WINDOW = 1 << 27
"""The largest window that `zstd -d` accepts on a host without being asked."""

OVERHEAD = 4096
"""Bytes of headers and padding that one member of a tar may take."""

FOREIGN = "do not deploy this archive; build the release again with `inv build`"
KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.DIRTYPE: "a directory of its own",
}


@dataclass(frozen=True)
class Release:
    """An archive whose SHA-256 is the one in its manifest, and the manifest's signature, if it came with one."""

    path: Path
    manifest: Manifest
    signature: str | None = None


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold: members, and unpacked bytes."""

    members: int = 200_000
    unpacked: int = 4 << 30


def manifest_path(archive: Path) -> Path:
    """Where the manifest of `archive` lies: beside it, `.json` instead of `.tar.zst`."""
    return archive.with_name(archive.name.removesuffix(ARCHIVE) + ".json")


def signature_path(archive: Path) -> Path:
    """Where the signature of the manifest lies: beside that, `.sig` added."""
    return manifest_path(archive).with_name(manifest_path(archive).name + SIGNATURE)


def read_manifest(archive: Path) -> Manifest:
    """The manifest beside `archive`. Raises BadInput when it is missing or not usable."""
    path = manifest_path(archive)
    try:
        return Manifest.from_json(path.read_bytes(), str(path))
    except OSError as error:
        fact = f"the manifest of {archive} cannot be read: {path}: {error.strerror}"
        raise BadInput(fact, f"copy {path.name} beside the archive; `inv build` makes both") from error


def open_release(reference: str | None, folder: Path) -> Release:
    """The release that `reference` names: an archive's path, an id in `folder`, or the newest there for None.

    Raises BadInput when there is none, or when the archive is not the one that its manifest describes.
    """
    path = _locate(reference, folder)
    manifest = read_manifest(path)
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}", f"ls -l {path}") from error
    if digest != manifest.digest:
        raise BadInput(f"{path} is corrupt: SHA-256 is {digest}, the manifest says {manifest.digest}", FOREIGN)
    return Release(path, manifest, _signature(path))


def archives(folder: Path) -> list[Path]:
    """The archives in `folder` that have a manifest, the newest first."""
    found = [path for path in folder.glob(f"[!.]*{ARCHIVE}") if manifest_path(path).is_file()]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)


def is_elsewhere(reference: str, folder: Path) -> bool:
    """Whether this is the id of a release that is not in `folder`, so that it may be kept in another place."""
    return is_release_id(reference) and not reference.endswith(ARCHIVE) and not _named(reference, folder).is_file()


def _named(reference: str, folder: Path) -> Path:
    if "/" not in reference and not reference.endswith(ARCHIVE):
        return folder / f"{reference}{ARCHIVE}"
    return Path(reference)


def _signature(archive: Path) -> str | None:
    path = signature_path(archive)
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} cannot be read: {error}", f"rm {path}, and build the release again: inv build"
        ) from error


def _locate(reference: str | None, folder: Path) -> Path:
    present = archives(folder)
    if reference is None:
        if not present:
            raise BadInput(f"there is no release in {folder}", "make one with `inv build`")
        return present[0]
    path = _named(reference, folder)
    if path.is_file() and path.name.endswith(ARCHIVE):
        return path
    fact = f"{path} is no {ARCHIVE} archive" if path.exists() else f"there is no release {reference} at {path}"
    names = [found.name.removesuffix(ARCHIVE) for found in present[:3]]
    raise BadInput(fact, f"name one of: {', '.join(names)}" if names else "make one with `inv build`")


def scan(path: Path, manifest: Manifest, limits: Limits | None = None) -> None:
    """Read the whole archive and compare it with the manifest, which already holds nothing but safe paths.

    Raises BadInput naming archive and member for anything that is not listed, differs, lacks or could do harm.
    """
    limits = limits or Limits()
    members = len(manifest.files) + len(manifest.links)
    if members > limits.members:
        raise BadInput(f"{path} holds {members} files, more than {limits.members}", "leave out what is not needed")
    if manifest.unpacked > limits.unpacked:
        fact = f"{path} unpacks to {manifest.unpacked} bytes, more than {limits.unpacked}"
        raise BadInput(fact, "leave out what is not needed")
    with path.open("rb") as file:
        decoded = _Decoded(path, file, manifest.unpacked + members * OVERHEAD + CHUNK)
        try:
            _compare(path, decoded, manifest)
        # RecursionError and ValueError: what tarfile makes of headers that were written to confuse it.
        except (tarfile.TarError, zstandard.ZstdError, RecursionError, ValueError, OverflowError) as error:
            raise BadInput(f"{path} is truncated or no tar in zstd: {error}", FOREIGN) from error


def _compare(path: Path, decoded: _Decoded, manifest: Manifest) -> None:
    files = {file.path: file for file in manifest.files}
    links = {link.path: link.target for link in manifest.links}
    missing = {**files, **links}
    with tarfile.open(fileobj=decoded, mode="r|", bufsize=CHUNK, encoding="utf-8") as tar:
        for member in tar:
            problem = _harm(member)
            if not problem and member.name not in missing:
                problem = _unlisted(member, files, links)
            if not problem:
                problem = _difference(tar, member, files.get(member.name), links.get(member.name))
            if problem:
                raise BadInput(f"{path}: {member.name!r} {problem}", FOREIGN)
            del missing[member.name]
        if tar.pax_headers:
            raise BadInput(f"{path} has headers for all its members: {', '.join(sorted(tar.pax_headers))}", FOREIGN)
        if missing:
            raise BadInput(f"{path} lacks {min(missing)!r}, which the manifest lists", FOREIGN)
        assert tar.fileobj
        while rest := tar.fileobj.read(CHUNK):
            if rest.count(0) != len(rest):
                raise BadInput(f"{path} has data after its end", FOREIGN)
    decoded.finish()


def _harm(member: tarfile.TarInfo) -> str | None:
    """What makes a member unacceptable whatever a manifest says."""
    if problem := unsafe_path(member.name):
        return problem
    if odd := set(member.pax_headers) - {"path", "linkpath"}:
        return f"has the header {min(odd)!r}, which no build writes"
    if member.issym():
        return unsafe_target(member.name, member.linkname)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        return f"is {KINDS.get(member.type, 'of an unknown kind')}"
    if member.mode & 0o7000:
        return f"is setuid, setgid or sticky (mode {member.mode:04o})"
    if member.mode & 0o022:
        return f"may be written by others than its owner (mode {member.mode:04o})"
    return None


def _unlisted(member: tarfile.TarInfo, files: dict[str, ReleaseFile], links: dict[str, str]) -> str:
    if member.name in files or member.name in links:
        return "is there twice"
    parts = member.name.split("/")
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
    through = next((parent for parent in parents if parent in links), None)
    return f"passes through the symlink {through!r}" if through else "is not listed in the manifest"


def _difference(
    tar: tarfile.TarFile, member: tarfile.TarInfo, listed: ReleaseFile | None, target: str | None
) -> str | None:
    if member.issym():
        return None if member.linkname == target else f"points to {member.linkname!r}, the manifest says otherwise"
    if not listed:
        return "is a file, the manifest lists a symlink"
    if (member.size, member.mode) != (listed.size, listed.mode):
        found = f"has {member.size} bytes and mode {member.mode:04o}"
        return f"{found}, the manifest says {listed.size} and {listed.mode:04o}"
    content, digest = tar.extractfile(member), hashlib.sha256()
    assert content
    while piece := content.read(CHUNK):
        digest.update(piece)
    if digest.hexdigest() != listed.sha256:
        return f"has SHA-256 {digest.hexdigest()}, the manifest says {listed.sha256}"
    return None


class _Decoded(io.BufferedIOBase):
    """The tar inside the archive: never more bytes than the frame announces, and those within the limit."""

    def __init__(self, path: Path, file: BinaryIO, limit: int) -> None:
        super().__init__()
        self._path = path
        try:
            self._announced = zstandard.get_frame_parameters(file.read(32)).content_size
        except zstandard.ZstdError as error:
            raise BadInput(f"{path} is no zstd data: {error}", FOREIGN) from error
        if self._announced > limit:
            raise BadInput(f"{path} unpacks to more than its manifest lists (a decompression bomb?)", FOREIGN)
        file.seek(0)
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        # All frames, because that is what `zstd -dc` decodes on the hosts.
        self._reader = decompressor.stream_reader(file, read_across_frames=True)
        self._read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` decoded bytes."""
        data = self._reader.read(-1 if size is None else size)
        self._read += len(data)
        if self._read > self._announced:
            raise BadInput(f"{self._path} holds more than it announces", FOREIGN)
        return data

    def finish(self) -> None:
        """Raise BadInput unless all that was announced has come."""
        if self._read != self._announced:
            raise BadInput(f"{self._path} is truncated: {self._read} of {self._announced} bytes", FOREIGN)
