"""The manifest of an archive that comes without one: its files are read, and its id proves that they are right."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import zstandard

from fabfile.artifact.archive import Release, scan
from fabfile.errors import BadInput
from fabfile.model.release import FORMAT, Manifest, ReleaseFile, ReleaseLink, release_id

DAMAGED = "choose another backup: inv backup.list"


def identify(path: Path, release: str, digest: str) -> Release:
    """The release `release` in the archive at `path`, whose SHA-256 is known to be `digest`.

    An id is made from the content, so an archive whose files make another id is not that release. Raises BadInput then,
    and for anything that `scan` refuses.
    """
    version = release.rpartition("-")[0]
    try:
        files, links = _members(path)
        found = release_id(version, files, links)
    except (tarfile.TarError, zstandard.ZstdError, EOFError, OSError) as error:
        raise BadInput(f"the archive of release {release} cannot be read: {error}", DAMAGED) from error
    if found != release:
        raise BadInput(f"the archive that should hold release {release} holds {found}", DAMAGED)
    manifest = Manifest(
        format=FORMAT,
        id=release,
        name=release,
        version=version,
        digest=digest,
        size=path.stat().st_size,
        unpacked=sum(file.size for file in files),
        commit=None,
        dirty=False,
        builder="restored",
        built_at="unknown",
        files=files,
        links=links,
    )
    scan(path, manifest)
    return Release(path, manifest)


def _members(path: Path) -> tuple[tuple[ReleaseFile, ...], tuple[ReleaseLink, ...]]:
    files, links = [], []
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as plain,
        tarfile.open(fileobj=plain, mode="r|", encoding="utf-8") as tar,
    ):
        for member in tar:
            if member.issym():
                links.append(ReleaseLink(member.name, member.linkname))
            elif content := tar.extractfile(member):
                digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
                files.append(ReleaseFile(member.name, member.mode, member.size, digest))
    return tuple(files), tuple(links)
