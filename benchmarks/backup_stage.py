"""Where backups are measured: a PostgreSQL server of one's own, and the smallest S3 server that keeps what it gets."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
from pydantic import SecretStr

from fabfile.config.database import DatabaseSettings
from fabfile.database.postgres import Postgres
from fabfile.remote.local import LocalHost

BUCKET, REGION = "backups", "us-east-1"
FILL = (
    "INSERT INTO {table} SELECT i, now() - i * interval '1 s', 'item ' || i, md5(i::text) || text, random()"
    " FROM (SELECT array_agg(DISTINCT proname) AS words FROM pg_proc) w, generate_series(1, {rows}) i, LATERAL"
    " (SELECT string_agg(words[1 + (i + n * random() * 1000)::int % 1000], ' ') AS text FROM generate_series(1, 8) n) t"
)
"""Words in no order, as in what people write: zstd makes a third of them, and gzip as well."""
ROW_BYTES = 214
"""What one of them takes in a dump."""


class Stored(BaseHTTPRequestHandler):
    """Puts, parts, HEAD and GET; every body goes to a file of its own. It is no part of what is compared."""

    protocol_version = "HTTP/1.1"
    folder: Path
    metadata: dict[str, str] = {}  # noqa: RUF012 - one server per process

    def do_PUT(self) -> None:
        """An object, or one part of it."""
        query = parse_qs(urlsplit(self.path).query)
        self._keep(self._file() / query.get("partNumber", ["1"])[0].zfill(5))
        self._answer(200, ETag='"0"')

    def do_POST(self) -> None:
        """The beginning or the end of an upload."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, b"<R><UploadId>1</UploadId><ETag>0</ETag></R>")

    def do_DELETE(self) -> None:
        """An object, or an upload given up."""
        shutil.rmtree(self._file(), ignore_errors=True)
        self._answer(204)

    def do_HEAD(self) -> None:
        """What there is."""
        self._answer(200, length=self._size())

    def do_GET(self) -> None:
        """The object."""
        self._answer(200, length=self._size())
        for part in sorted(self._file().iterdir()):
            with part.open("rb") as file:
                self.connection.sendfile(file)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def _file(self) -> Path:
        folder = self.folder / urlsplit(self.path).path.strip("/").replace("/", "_")
        folder.mkdir(exist_ok=True)
        if mark := self.headers.get("x-amz-meta-turnout-write"):
            self.metadata[folder.name] = mark
        return folder

    def _size(self) -> int:
        return sum(part.stat().st_size for part in self._file().iterdir())

    def _keep(self, path: Path) -> None:
        left = length = int(self.headers["Content-Length"])
        with path.open("wb") as file:
            while left:
                data = self.rfile.read(min(left, 1 << 20))
                left -= len(data)
                if "stream" not in path.parent.name:  # those are only for the memory of who sends them
                    file.write(data)
            file.truncate(length)

    def _answer(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        mark = self.metadata.get(self._file().name, "") if status == 200 else ""
        for name, value in {**headers, **({"x-amz-meta-turnout-write": mark} if mark else {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True)
class Stage:
    """A server with the database `app`, and an S3 endpoint."""

    endpoint: str
    port: int
    folder: Path

    @property
    def database(self) -> Postgres:
        """The product's own way to it, on this machine instead of over SSH."""
        words = {"via": "here", "port": self.port, "name": "app", "user": "turnout", "password": "env:NONE"}
        settings = DatabaseSettings.model_validate(words)
        return Postgres(settings, SecretStr("none"), LocalHost("here"))

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's own programs want to know."""
        return {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "turnout"}


@contextlib.contextmanager
def stage(megabytes: int) -> Iterator[Stage]:
    """Both servers, and about that much in two tables with an index each."""
    with tempfile.TemporaryDirectory() as name, store(Path(name)) as endpoint, postgres(Path(name)) as port:
        with psycopg.connect(
            host="127.0.0.1", port=port, user="turnout", dbname="postgres", autocommit=True
        ) as session:
            session.execute("CREATE DATABASE app")
        with psycopg.connect(host="127.0.0.1", port=port, user="turnout", dbname="app", autocommit=True) as session:
            for table in ("orders", "events"):
                session.execute(f"CREATE TABLE {table} (id int, at timestamptz, label text, body text, weight float)")
                rows = (megabytes << 20) // ROW_BYTES // 2
                session.execute(FILL.format(table=table, rows=rows).encode())
                session.execute(f"ALTER TABLE {table} ADD PRIMARY KEY (id)")
            session.execute("VACUUM ANALYZE")
            session.execute("CHECKPOINT")
        yield Stage(endpoint, port, Path(name))


@contextlib.contextmanager
def store(folder: Path) -> Iterator[str]:
    """The S3 server in a process of its own; yields its URL."""
    port, objects = free_port(), folder / "objects"
    objects.mkdir()
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.backup_stage", str(port), str(objects)])
    try:
        wait_for(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[int]:
    """A server below `folder` that asks for no password and does not wait for the disk; yields its port."""
    programs = Path(
        subprocess.run(["pg_config", "--bindir"], check=True, capture_output=True, text=True).stdout.strip()
    )
    data, port = folder / "data", free_port()
    data.mkdir()
    who: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        who = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        folder.chmod(0o711)
        shutil.chown(data, "nobody")
    made = [*who, str(programs / "initdb"), "-D", str(data), "-U", "turnout", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, cwd="/")
    words = {
        "port": port,
        "fsync": "off",
        "unix_socket_directories": "",
        "max_wal_size": "8GB",
        "shared_buffers": "512MB",
    }
    options = [word for name, value in words.items() for word in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [*who, str(programs / "postgres"), "-D", str(data), *options], stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        wait_for(port)
        while subprocess.run([str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]).returncode:
            time.sleep(0.1)  # listening comes before being ready
        yield port
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(port: int) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing listens on port {port}")
        time.sleep(0.1)


if __name__ == "__main__":
    Stored.folder = Path(sys.argv[2])
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Stored).serve_forever()
