"""Signs of life of a slot's process: which one listens, how much memory it has, and whether it is ready."""

from __future__ import annotations

from dataclasses import dataclass

from fabfile.commands.shell import bind
from fabfile.model.script import Script

SIGNS = r"""
pid=$(ss -Hltnp "sport = :$port" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1)
memory=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/${pid:-none}/status" 2> /dev/null || true)
ready=no
if curl -s --fail --max-time "$limit" "http://$address:$port$path" > /dev/null; then ready=yes; fi
echo "${pid:-0} ${memory:-0} $ready"
"""


@dataclass(frozen=True)
class Signs:
    """The process that listens (0: none), its resident memory in KiB, and whether it answered its health path."""

    pid: int
    memory: int
    ready: bool


def signs(address: str, port: int, path: str, limit: float) -> Script:
    """Look at what listens on `port`; `limit` is in seconds, for the answer."""
    return Script(bind(SIGNS, address=address, port=port, path=path, limit=limit), timeout=30 + limit)


def parse(stdout: str) -> Signs:
    """What `signs` printed. Raises ValueError when the answer is cut."""
    pid, memory, ready = stdout.split()
    return Signs(int(pid), int(memory), ready == "yes")
