"""A home with a PM2 of which only what the tests need is there: a command, and a daemon that can be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

AXON = """
exports.socket = () => {
    const socket = new (require("events"))();
    socket.connect = () => setImmediate(() => socket.emit("connect"));
    return socket;
};
"""
RPC = """
const fs = require("fs"), home = process.env.HOME;
exports.Client = class {
    constructor(socket) { this.sock = socket; }
    call(name, options, done) { %s }
};
"""

Install = Callable[..., Path]


@pytest.fixture
def install_pm2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a PM2 whose daemon answers as `daemon` does (JavaScript that calls `done`); the path of its command."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PM2_HOME", raising=False)

    def install(daemon: str, command: str = "") -> Path:
        for name, text in (("pm2-axon", AXON), ("pm2-axon-rpc", RPC % daemon)):
            module = tmp_path / "pm2" / "modules" / name
            module.mkdir(parents=True)
            (module / "index.js").write_text(text)
        found = tmp_path / "pm2" / "bin" / "pm2"
        found.parent.mkdir()
        found.write_text(command)
        return found

    return install
