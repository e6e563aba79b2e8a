"""A home in which a PM2 daemon seems to listen."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def pm2_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The home directory; PM2's own is elsewhere, where the path is short enough for a socket."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with tempfile.TemporaryDirectory(prefix="pm2-") as folder, socket.socket(socket.AF_UNIX) as daemon:
        monkeypatch.setenv("PM2_HOME", folder)
        daemon.bind(f"{folder}/rpc.sock")
        daemon.listen()
        yield tmp_path
