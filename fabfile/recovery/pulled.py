"""A recovery point as ordinary files that tar, psql and pg_restore read, so that it restores without this product."""

from __future__ import annotations

import copy
import gzip
import hashlib
import io
import os
import shlex
import shutil
import tarfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from fabfile.commands import sql_text
from fabfile.database.port import DIRECTORY
from fabfile.errors import BadInput, Refused, TurnoutError, Unverified
from fabfile.model.recovery_point import DATABASE, FILES, RELEASE, RecoveryPoint, StoredPart
from fabfile.recovery.contents import decompressed, members, opened_tar
from fabfile.recovery.integrity import Checked
from fabfile.recovery.scope import Scope
from fabfile.remote.local import LocalHost
from fabfile.remote.port import Host
from fabfile.storage.directory import flush_folder

README = """\
Backup {number} of {app} in {environment}, taken {created_at} (UTC){release}.
Check the files first: sha256sum -c SHA256SUMS

{files}{database}{server}"""
README_FILES = """\
{archive} holds {what}.
  mkdir unpacked && tar -xpzf {archive} -C unpacked
Stop the application, copy unpacked/files/HOST/ into /var/app/{app}/shared/ of each host, as the user that it runs as.
unpacked/release/ is the application itself: start it with its environment (see `env` and `secrets` in its
environment file), or build an archive of it again.

"""
README_DATABASE = """\
{dump} is a dump of PostgreSQL {version}; the roles that it names must exist (psql: \\du).
  createdb -T template0 -E {encoding} -O {owner} restored
  {command}
Compare a few counts, then: ALTER DATABASE ... RENAME TO ...; the connection limit, settings (ALTER DATABASE ... SET)
and grants of the database itself are not in a dump.
"""

README_SERVER = """\
The database is not here: it is the backup {label} of pgBackRest's, in the encrypted repository of the stanza {stanza}.
On a server with the configuration that inv backup.pitr-setup wrote, PostgreSQL stopped and its directory empty, as the
user postgres:
  pgbackrest --config-path=/etc/postgresql/VERSION/CLUSTER/pgbackrest --stanza={stanza} --set={label} \\
    --type=immediate --target-action=promote restore
"""


def pull(scope: Scope, point: RecoveryPoint, parent: Path, as_sql: bool) -> Path:
    """Write the files into a new folder below `parent`, which gets its name when they are all whole; its path.

    Raises BadInput when there is such a folder, Refused when the disk is too small, StorageError for a damaged part,
    Unverified for one that is none.
    """
    name = f"{point.app}-{point.environment}-{point.number}"
    target, partial = parent / name, parent / f".{name}.part"
    if as_sql and _is_directory(point):
        raise BadInput(
            f"the dump of backup {point.number} is a folder (database.jobs), of which no SQL is made here",
            "pull it without --sql: pg_restore reads it",
        )
    if point.pgbackrest and (as_sql or not point.objects):
        raise BadInput(
            f"the database of backup {point.number} is in pgBackRest's repository, of which no file is made here",
            "dump a copy of the server: inv backup.pitr-restore --at=TIME says where it runs",
        )
    _refuse(point, parent, target)
    with _explained(partial):
        try:
            partial.mkdir(mode=0o700)
        except FileExistsError:
            hint = f"if nobody pulls it there now: rm -r {partial}"
            raise BadInput(f"{partial}: another pull works here, or was killed here", hint) from None
        try:
            _fill(scope, point, partial, as_sql)
            partial.rename(target)
            flush_folder(parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return target


def _is_directory(point: RecoveryPoint) -> bool:
    part = point.part(DATABASE)
    return part is not None and DIRECTORY in part.key


def _refuse(point: RecoveryPoint, parent: Path, target: Path) -> None:
    if not parent.is_dir():
        raise BadInput(f"{parent}: is no folder", f"make it first: mkdir -p {parent}")
    if target.exists():
        raise BadInput(
            f"{target}: exists already, and nothing is overwritten", "remove it, or pull elsewhere with --to"
        )
    dumped = point.database.size_bytes if point.database else 0
    needed, free = sum(part.size for part in point.objects) + dumped, shutil.disk_usage(parent).free
    if free < needed:
        raise Refused(
            f"{parent}: {free / 1e9:.2f} GB are free, and backup {point.number} may take {needed / 1e9:.2f} GB",
            "choose a larger disk with --to",
        )


def _fill(scope: Scope, point: RecoveryPoint, folder: Path, as_sql: bool) -> None:
    moment = point.created_at.replace(":", "").replace("-", "")
    ending = "sql" if as_sql else "dump.tar" if _is_directory(point) else "dump"
    archive, dump = f"backup-{moment}.tar.gz", f"db-backup-{moment}.{ending}"
    sums, part = {}, point.part(DATABASE)
    packed = [part for part in point.objects if part.name.startswith(FILES) or part.name == RELEASE]
    if packed:
        sums[archive] = _write_archive(scope, packed, folder / archive)
    if part:
        chunks = Checked(scope.catalogue.store, part, scope.identity)
        plain = _sql(_converter(scope, point), chunks) if as_sql else decompressed(chunks)
        with _naming(part), closing(plain):
            sums[dump] = _write(folder / dump, plain)
    text = _readme(point, archive if packed else "", dump if part else "", as_sql)
    sums["README"] = _write(folder / "README", [text.encode()])
    _write(folder / "SHA256SUMS", ["".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()])
    flush_folder(folder)


def _converter(scope: Scope, point: RecoveryPoint) -> Host:
    """Where the dump becomes SQL: here if there is a pg_restore that is new enough, else beside the database."""
    assert point.database
    here, needed = LocalHost("this machine"), int(point.database.server_version.split(".")[0])
    if sql_text.parse_version(here.run(sql_text.version()).stdout) >= needed:
        return here
    settings = scope.environment.database
    if settings is None:
        raise BadInput(
            f"SQL is made by pg_restore {needed} and zstd, which are not here",
            f"install postgresql-client-{needed} and zstd here, or leave out --sql",
        )
    return scope.hosts[settings.via]


def _sql(host: Host, chunks: Checked) -> Generator[bytes, None, None]:
    try:
        yield from host.stream(sql_text.convert(), chunks)
    except TurnoutError as error:
        if chunks.error is None or chunks.error is error:
            raise
        raise chunks.error from error


def _write_archive(scope: Scope, parts: Iterable[StoredPart], path: Path) -> str:
    """One tar.gz of all these parts, each below a folder of its own; its SHA-256."""
    file = _Written(path)
    with (
        file,
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for part in parts:
            below = "release" if part.name == RELEASE else f"files/{part.name.removeprefix(FILES)}"
            with (
                _naming(part),
                opened_tar(decompressed(Checked(scope.catalogue.store, part, scope.identity))) as source,
            ):
                for member in members(source):
                    content = source.extractfile(member) if member.isreg() else None
                    tar.addfile(_moved(member, below), content)
                    tar.members.clear()  # type: ignore[attr-defined]
    return file.digest


def _moved(member: tarfile.TarInfo, below: str) -> tarfile.TarInfo:
    def place(name: str) -> str:
        inside = name.removeprefix("./")
        return f"{below}/{inside}" if inside not in ("", ".") else below

    moved = copy.copy(member)
    moved.name, moved.pax_headers = place(member.name), {}  # what these say of the name would hold
    if member.islnk():
        moved.linkname = place(member.linkname)
    return moved


def _readme(point: RecoveryPoint, archive: str, dump: str, as_sql: bool) -> str:
    facts, files, database, server = point.database, "", "", ""
    if archive:
        hosts = [part.name.removeprefix(FILES) for part in point.objects if part.name.startswith(FILES)]
        what = [f"the shared files of {', '.join(hosts)}"] if hosts else []
        what += [f"the release {point.release}"] if point.part(RELEASE) else []
        files = README_FILES.format(archive=archive, what=" and ".join(what), app=point.app)
    if dump and facts:
        unpacked = f"tar -xf {dump} && " if dump.endswith(".tar") else ""
        restore = f"{unpacked}pg_restore --exit-on-error -j 2 -d restored {'dump' if unpacked else dump}"
        command = f"psql -X -v ON_ERROR_STOP=1 -d restored -f {dump}" if as_sql else restore
        database = README_DATABASE.format(
            dump=dump,
            version=facts.server_version,
            encoding=facts.encoding,
            owner=shlex.quote(facts.owner),
            command=command,
        )
    if whole := point.pgbackrest:
        server = README_SERVER.format(label=whole.label, stanza=whole.stanza)
    return README.format(
        number=point.number,
        app=point.app,
        environment=point.environment,
        created_at=point.created_at,
        release=f", release {point.release}" if point.release else "",
        files=files,
        database=database,
        server=server,
    )


class _Written(io.RawIOBase):
    """A new private file that is measured while it is written, and on the disk when it is closed."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._sum = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._sum.hexdigest()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        self._sum.update(data)
        return self._file.write(data)

    def close(self) -> None:
        if not self._file.closed:
            with self._file:
                self._file.flush()
                os.fsync(self._file.fileno())
        super().close()


def _write(path: Path, chunks: Iterable[bytes]) -> str:
    """A new private file of these chunks; its SHA-256."""
    with _Written(path) as file:
        for chunk in chunks:
            file.write(chunk)
    return file.digest


@contextmanager
def _naming(part: StoredPart) -> Iterator[None]:
    try:
        yield
    except Unverified as error:
        raise Unverified(f"{part.key}: {error.fact}", "choose another backup: inv backup.list") from error


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TurnoutError(f"{path}: {error.strerror or error}", f"look at the disk: df -h {path.parent}") from error
