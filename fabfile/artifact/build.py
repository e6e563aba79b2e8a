"""Makes a release: the team's commands in a clean copy of the source, then one archive and its manifest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import pwd
import shlex
import shutil
import socket
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import zstandard

from fabfile.artifact import source as sources
from fabfile.artifact.archive import ARCHIVE, manifest_path, signature_path
from fabfile.config.schema import Check
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.release import FORMAT, Manifest, ReleaseFile, ReleaseLink, release_id, unsafe_path, unsafe_target
from fabfile.remote import local_command

COMMAND_TIMEOUT = 900.0
"""Seconds that one build command may take."""

UMASK = 0o022
"""What commands make is as accessible as everywhere, also inside archives of their own."""
LEVEL = 3

NPM_NOTE = "node_modules/.package-lock.json"
"""npm's note to itself; it names the registry that was used, so that equal releases would differ."""


def build(
    source: Path,
    out: Path,
    commands: Sequence[Sequence[str]],
    exclude: Sequence[str],
    say: Callable[[str], None],
    checks: Sequence[Check] = (),
) -> Manifest:
    """Build `out/<id>.tar.zst` and `out/<id>.json` from `source`; `say` hears what happens.

    `checks` see a copy of the very files that are built. The same files give the same id, and with the same tools the
    same archive byte for byte, wherever, when and by whom it is built. Empty directories are no part of a release.
    Raises BadInput for a source or a result that cannot be released, TurnoutError for a check or command that fails
    or takes too long (a command: 900 s).
    """
    found = sources.find(source, exclude, out, say)
    with tempfile.TemporaryDirectory(prefix="turnout-build-") as folder:
        tree = Path(folder, "tree")
        tree.mkdir()
        say(f"copy {len(found.paths)} files")
        sources.copy(found, tree)
        name, version = _identity(tree)
        environ = surroundings(found.dated, os.environ)
        if checks:
            _check(shutil.copytree(tree, Path(folder, "checked"), symlinks=True), checks, environ, say)
        for words in commands:
            say(f"run {shlex.join(words)}")
            run_command(words, tree, environ=environ)
        with Path(folder, "tar").open("w+b") as tar:
            manifest = _described(found, name, version, *pack(tree, tar))
            say(f"pack {len(manifest.files) + len(manifest.links)} files")
            return _write(manifest, tar, out)


def _described(
    found: sources.Source, name: str, version: str, files: tuple[ReleaseFile, ...], links: tuple[ReleaseLink, ...]
) -> Manifest:
    """The manifest, but for what is known only once the archive is written."""
    return Manifest(
        format=FORMAT,
        id=release_id(version, files, links),
        name=name,
        version=version,
        digest="",
        size=0,
        unpacked=sum(file.size for file in files),
        commit=found.commit,
        dirty=found.dirty,
        builder=f"{pwd.getpwuid(os.getuid()).pw_name}@{socket.gethostname()}",
        built_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        files=files,
        links=links,
    )


def surroundings(dated: int, environ: Mapping[str, str]) -> dict[str, str]:
    """What commands inherit: our own variables, but for those that would let the same source become different bytes.

    SOURCE_DATE_EPOCH as in https://reproducible-builds.org/specs/source-date-epoch/: tools write it instead of now.
    """
    return {**environ, "SOURCE_DATE_EPOCH": str(dated), "TZ": "UTC", "LC_ALL": "C.UTF-8"}


def _check(folder: Path, checks: Sequence[Check], environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    for number, check in enumerate(checks):
        line = shlex.join(check.command)
        say(f"check {line}")
        ended = local_command.run(check.command, folder, check.timeout, environ, umask=UMASK)
        if ended.failed:
            raise TurnoutError(
                f"check `{line}` {ended.how}, so nothing was built",
                f"run it in the source directory; what it is and how long it has: build.checks.{number}",
                ended.lines,
            )


def run_command(
    words: Sequence[str], folder: Path, timeout: float = COMMAND_TIMEOUT, environ: Mapping[str, str] | None = None
) -> None:
    """Run one build command in `folder` for at most `timeout` seconds. Raises TurnoutError when it fails."""
    ended = local_command.run(words, folder, timeout, environ, umask=UMASK)
    if ended.failed:
        raise TurnoutError(
            f"build command `{shlex.join(words)}` {ended.how}", "run it in the source directory", ended.lines
        )


def pack(tree: Path, tar: BinaryIO) -> tuple[tuple[ReleaseFile, ...], tuple[ReleaseLink, ...]]:
    """Write every file and symlink below `tree` to `tar`, sorted, owned by nobody in particular, dated 1970."""
    files, links = [], []
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for path in sorted(_paths(tree)):
            member, info = tree / path, tarfile.TarInfo(path)
            status = member.lstat()
            if problem := unsafe_path(path) or _unreleasable(path, member, status):
                raise BadInput(f"{path!r} {problem}", "keep it out of the source and of what the build commands make")
            if stat.S_ISLNK(status.st_mode):
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, str(member.readlink())
                archive.addfile(info)
                links.append(ReleaseLink(path, info.linkname))
                continue
            info.mode, info.size = 0o755 if status.st_mode & 0o100 else 0o644, status.st_size
            with member.open("rb") as content:
                hashed = _Hashed(content)
                archive.addfile(info, hashed)
            files.append(ReleaseFile(path, info.mode, info.size, hashed.digest.hexdigest()))
    return tuple(files), tuple(links)


class _Hashed:
    """A file that is hashed while it is read, so that what is packed is what the manifest says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


def _paths(tree: Path) -> Iterator[str]:
    for folder, below, names in os.walk(tree):
        linked = [name for name in below if Path(folder, name).is_symlink()]
        for name in (*names, *linked):
            path = str(Path(folder, name).relative_to(tree))
            if path != NPM_NOTE:
                yield path


def _unreleasable(path: str, member: Path, status: os.stat_result) -> str | None:
    if stat.S_ISLNK(status.st_mode):
        return unsafe_target(path, str(member.readlink()))
    if not stat.S_ISREG(status.st_mode):
        return "is neither a file nor a symlink"
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        return "is setuid or setgid"
    return None


def _write(manifest: Manifest, tar: BinaryIO, out: Path) -> Manifest:
    """Put archive and manifest into `out`, the manifest last: an archive without one is no release."""
    size = tar.seek(0, os.SEEK_END)
    tar.seek(0)
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f"{manifest.id}{ARCHIVE}"
    signature_path(archive).unlink(missing_ok=True)  # of an earlier build, whose manifest says another time
    with _replacing(archive) as file:
        # One thread: the output of several depends on the library's version more than need be.
        compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True, write_content_size=True)
        compressor.copy_stream(tar, file, size=size)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = replace(manifest, digest=digest, size=file.seek(0, os.SEEK_END))
    with _replacing(manifest_path(archive)) as file:
        file.write(manifest.to_json().encode())
    return manifest


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[io.BufferedRandom]:
    """A new file that takes its name only when it is whole and on disk."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".turnout-")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _identity(tree: Path) -> tuple[str, str]:
    try:
        package = json.loads((tree / "package.json").read_bytes())
        name, version = package["name"], package["version"]
    except FileNotFoundError as error:
        raise BadInput("the source has no package.json", "set build.source to the application's directory") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput("package.json is not JSON with a name and a version", "run `npm init` there") from error
    release_id(str(version), (), ())
    return str(name), str(version)
