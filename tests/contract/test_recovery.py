"""Recovery points of the lab's hosts and database: taken, broken off at every place, damaged, and restored."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyrage
import pytest
from pydantic import SecretStr

from fabfile.commands import shared_files
from fabfile.commands.shell import bind
from fabfile.config.schema import Environment
from fabfile.database.postgres import Postgres
from fabfile.errors import BadInput, RemoteError, StorageError
from fabfile.lab.lab import Lab
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.recovery.capture import capture
from fabfile.recovery.catalogue import Catalogue
from fabfile.recovery.restore import load_database, load_files
from fabfile.recovery.scope import Scope
from fabfile.remote.ssh import SshHost
from fabfile.storage.directory import DirectoryStore
from fabfile.storage.port import Stored
from fabfile.storage.s3 import S3Store
from tests.contract.database_server import Server, fresh

pytestmark = pytest.mark.lab
RUN = "20250131T030000-0a1b"
LARGEST = 10_000 * (5 << 20)
"""Bytes: no larger object means parts of 5 MiB."""

FILL = r"""
mkdir -p "$shared/uploads"
head -c 20000000 /dev/urandom > "$shared/uploads/noise"
printf %s "$host" > "$shared/uploads/host"
"""
DIGEST = r"""
cd "$root/$folder"
find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum
"""


class Disturbed(DirectoryStore):
    """A store during whose `nth` stream something happens after the first chunk."""

    def __init__(self, folder: Path, nth: int, happens: Callable[[], None]) -> None:
        super().__init__(folder)
        self._left, self._happens = nth, happens

    def put_stream(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> Stored:
        if ".pgdump." in key or ".tar." in key:
            self._left -= 1
            if self._left == 0:
                chunks = self._disturbed(chunks)
        return super().put_stream(key, chunks, if_absent=if_absent)

    def _disturbed(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for number, chunk in enumerate(chunks):
            yield chunk
            if number == 0:
                self._happens()


@dataclass(frozen=True)
class Place:
    """A scope over lab hosts, and the server that its database is on."""

    scope: Scope
    server: Server
    folder: Path

    def catalogue(self, nth: int, happens: Callable[[], None]) -> Scope:
        """The same scope, disturbed during its `nth` stream."""
        store = Disturbed(self.folder, nth, happens)
        return replace(self.scope, catalogue=Catalogue(store, "turnout", "shop", "test"))

    def stored(self) -> list[str]:
        return [found.key.removeprefix("turnout/shop/test/") for found in self.scope.catalogue.store.list("")]

    def digest(self, host: str, folder: str) -> str:
        script = bind(DIGEST, root=self.scope.paths.root, folder=folder)
        return self.scope.hosts[host].run(Script(script, 30)).stdout


@pytest.fixture
def place(lab: Lab, tmp_path: Path) -> Iterator[Place]:
    """Two hosts with files of their own, and a database large enough to be met while it is dumped."""
    environment = Environment.model_validate(
        {"app": "shop", "hosts": {"h1": {}, "h2": {}, "db": {"roles": ["db"]}}, "release": {"shared": ["uploads"]}}
    )
    paths = Paths(f"shop-{secrets.token_hex(4)}")
    hosts = {
        name: SshHost(name, name, "deploy", None, lab.known_hosts, lab.ssh_config, connect_timeout=10)
        for name in ("h1", "h2")
    }
    with fresh(lab) as server:
        server.fill(server.name, rows=2000)
        for name, host in hosts.items():
            host.run(Script(bind(FILL, shared=paths.shared, host=name), 30, mutates=True))
        catalogue = Catalogue(DirectoryStore(tmp_path), "turnout", "shop", "test")
        yield Place(Scope(environment, paths, hosts, catalogue, server.database), server, tmp_path)
        for host in hosts.values():
            host.run(Script(bind('rm -rf "$root"', root=paths.root), 30, mutates=True))
            host.close()


def test_a_full_backup_gives_back_every_row_and_every_file(place: Place) -> None:
    scope, server = place.scope, place.server
    wanted = {host: place.digest(host, "shared") for host in ("h1", "h2")}
    point = capture(scope, "full", "manual", RUN)
    assert scope.catalogue.find("latest") == point
    assert point.database == server.database.describe(server.name)

    server.database.create_beside(server.new, server.name)
    load_database(scope, point, server.new)
    assert server.content(server.new) == server.content(server.name)
    for host in ("h1", "h2"):
        load_files(scope, point, host, RUN)
        scope.hosts[host].run(Script(bind('rm -rf "$shared"/uploads/*', shared=scope.paths.shared), 30, mutates=True))
        scope.hosts[host].run(shared_files.swap_shared(scope.paths, RUN))
        assert place.digest(host, "shared") == wanted[host]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_encrypted_backup_in_s3_gives_back_every_row_and_every_file(
    place: Place, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    server, key = place.server, pyrage.x25519.Identity.generate()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, server.lab.environment[name])
    settings = server.settings.model_copy(update={"jobs": jobs})
    scope = replace(
        place.scope,
        catalogue=Catalogue(
            S3Store("backups", "us-east-1", server.lab.environment["S3_ENDPOINT"], max_size=LARGEST),
            f"contract-{secrets.token_hex(4)}",
            "shop",
            "test",
        ),
        database=Postgres(settings, SecretStr(server.password), server.host),
        recipients=(str(key.to_public()),),
    )
    wanted = place.digest("h1", "shared")
    point = capture(scope, "full", "manual", RUN)
    assert all(part.encrypted and part.size > (part.plain_size or 0) for part in point.objects)
    server.database.create_beside(server.new, server.name)
    with pytest.raises(BadInput, match=r"backup\.identity is not set"):
        load_database(scope, point, server.new)
    opened = replace(scope, identity=lambda: SecretStr(str(key)))
    load_database(opened, point, server.new)
    assert server.content(server.new) == server.content(server.name)
    load_files(opened, point, "h1", RUN)
    scope.hosts["h1"].run(shared_files.swap_shared(scope.paths, RUN))
    assert place.digest("h1", "shared") == wanted
    assert server.left_behind() == ""


def test_an_encrypted_dump_that_is_killed_half_way_leaves_nothing_in_the_store(place: Place) -> None:
    server = place.server
    server.grow(server.name, 60_000)

    def kill() -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
        assert server.ask("postgres", query) == [(True,)]

    scope = replace(place.catalogue(1, kill), recipients=(str(pyrage.x25519.Identity.generate().to_public()),))
    with pytest.raises(RemoteError, match="pg_dump: error"):
        capture(scope, "full", "manual", RUN)
    assert place.stored() == ["backups/000001/claim.json"]


def test_a_pg_dump_that_is_killed_half_way_leaves_nothing_in_the_store(place: Place) -> None:
    server = place.server
    server.grow(server.name, 60_000)

    def kill() -> None:
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
        assert server.ask("postgres", query) == [(True,)]

    with pytest.raises(RemoteError, match="pg_dump: error"):
        capture(place.catalogue(1, kill), "full", "manual", RUN)
    assert place.stored() == ["backups/000001/claim.json"]
    assert place.scope.catalogue.points() == ()


@pytest.mark.parametrize("nth", [1, 2, 3])
def test_ctrl_c_at_any_part_leaves_nothing_in_the_store_and_nothing_running(place: Place, nth: int) -> None:
    place.server.grow(place.server.name, 60_000)

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture(place.catalogue(nth, interrupt), "full", "manual", RUN)
    assert place.stored() == ["backups/000001/claim.json"]
    for node in ("db", "h1", "h2"):
        assert "zstd" not in place.server.lab.execute(node, "ps", "-eo", "comm").split()
    assert place.server.left_behind() == ""


@pytest.mark.parametrize("cut", [False, True])
def test_a_damaged_object_reaches_neither_a_database_nor_the_files_whole(place: Place, cut: bool) -> None:
    scope, server = place.scope, place.server
    point = capture(scope, "full", "manual", RUN)
    for part in point.objects:
        data = scope.catalogue.store.get(part.key)
        middle = len(data) // 2
        rest = b"" if cut else bytes([data[middle] ^ 1]) + data[middle + 1 :]
        scope.catalogue.store.put(part.key, data[:middle] + rest)
    assert scope.catalogue.listing().damaged == ((1,) if cut else ())
    server.database.create_beside(server.new, server.name)
    with pytest.raises(StorageError, match="is damaged"):
        load_database(scope, point, server.new)
    assert server.database.describe(server.new).tables == {}
    with pytest.raises(StorageError, match="is damaged"):
        load_files(scope, point, "h1", RUN)
    with pytest.raises(RemoteError, match="no restored files"):
        scope.hosts["h1"].run(shared_files.swap_shared(scope.paths, RUN))
    assert server.left_behind() == ""
