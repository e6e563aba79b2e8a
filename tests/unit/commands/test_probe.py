"""Proving a slot against a small server and a PM2 that takes its time; draining one that somebody stays in."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fabfile.commands import probe
from fabfile.config.schema import HealthSettings
from fabfile.errors import RemoteError
from fabfile.model.paths import Paths
from fabfile.remote.local import LocalHost
from tests.unit.commands.conftest import Install

SLOW_DAEMON = "setTimeout(() => done(null, %s), 1500);"


class Healthy(BaseHTTPRequestHandler):
    """The release r1 in the best of health."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"release": "r1"}')

    def log_message(self, format: str, *values: object) -> None:
        """A test's output is its own."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def slow_pm2(install_pm2: Install) -> Path:
    """Takes longer to list its one process than an answer of the application may take."""
    process = {"name": "shop-blue", "pid": 7, "pm2_env": {"status": "online", "restart_time": 0}}
    return install_pm2(SLOW_DAEMON % json.dumps([process]))


def prove(folder: Path, port: int, pm2_js: Path, release: str) -> None:
    health = HealthSettings.model_validate({"request_timeout": "1s", "timeout": "2s", "stable": "100ms"})
    node = shutil.which("node") or "node"
    LocalHost().run(
        probe.prove(Paths("shop", str(folder)), "blue", "127.0.0.1", port, release, health, node, str(pm2_js))
    )


@pytest.mark.slow
def test_the_limit_of_an_answer_is_none_for_pm2(tmp_path: Path, port: int, slow_pm2: Path) -> None:
    prove(tmp_path, port, slow_pm2, "r1")


@pytest.mark.slow
def test_another_release_than_the_deployed_one_is_not_healthy(tmp_path: Path, port: int, slow_pm2: Path) -> None:
    with pytest.raises(RemoteError, match="not healthy after 2 s"):
        prove(tmp_path, port, slow_pm2, "r2")


def test_whoever_stays_is_given_the_whole_drain_limit(port: int) -> None:
    # Late in a second of the clock, where a limit in its whole seconds is over at once.
    time.sleep((0.9 - time.time()) % 1)
    with socket.create_connection(("127.0.0.1", port)):
        drained = LocalHost().run(probe.drain(port, 1.0))
    assert drained.seconds >= 1.0
    assert drained.stdout.strip() == "1"


def test_a_slot_that_nobody_uses_is_drained_at_once(port: int) -> None:
    drained = LocalHost().run(probe.drain(port, 10.0))
    assert drained.seconds < 5.0
    assert drained.stdout.strip() == "0"


def test_a_port_that_takes_connections_is_told_from_one_that_does_not(port: int) -> None:
    host = LocalHost("h1")
    host.run(probe.listens("127.0.0.1", port, 5))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with pytest.raises(RemoteError, match=f"h1: nothing takes connections at 127.0.0.1:{free}"):
        host.run(probe.listens("127.0.0.1", free, 5))
