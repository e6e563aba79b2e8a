"""What the machine must have before a lab can start; run as a script, it prints the missing Debian packages.

Only the standard library is imported, so that a shell script can ask before any virtual environment exists:

    python3 fabfile/lab/prerequisites.py
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tool:
    """One program, found by its name on PATH or at a fixed path, and the Debian package that brings it."""

    program: str
    package: str

    def present(self) -> bool:
        return Path(self.program).exists() if self.program.startswith("/") else shutil.which(self.program) is not None


# runc: crun refuses on hybrid cgroups. netavark: podman wants a network backend even for `--network none`.
PODMAN = (
    Tool("podman", "podman"),
    Tool("runc", "runc"),
    Tool("/usr/lib/podman/netavark", "netavark"),
)
# The base tree comes from the machine's own apt sources, so podman needs no image registry.
DEBIAN = (Tool("mmdebstrap", "mmdebstrap"),)
ALWAYS = (
    Tool("ip", "iproute2"),
    Tool("nft", "nftables"),
    Tool("nsenter", "util-linux"),
    Tool("mount", "mount"),
    Tool("mkfs.ext4", "e2fsprogs"),
    Tool("ssh", "openssh-client"),
    Tool("openssl", "openssl"),
    Tool("node", "nodejs"),
    Tool("npm", "npm"),
)
APT = tuple(tool.package for tool in (*PODMAN, *DEBIAN, *ALWAYS))


def engine_program() -> str:
    """The container engine to use: podman, unless it is not there and docker is, with its daemon running."""
    return "docker" if not shutil.which("podman") and _docker_answers() else "podman"


def _docker_answers() -> bool:
    """A docker client alone, without a daemon, starts nothing."""
    if shutil.which("docker") is None:
        return False
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=20, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def needed() -> tuple[Tool, ...]:
    """Every tool that a lab on this machine uses."""
    if engine_program() == "docker":
        return ALWAYS
    return (*PODMAN, *(DEBIAN if shutil.which("apt-get") else ()), *ALWAYS)


def missing(tools: Iterable[Tool]) -> tuple[Tool, ...]:
    """Those of `tools` that are not here, in their order."""
    return tuple(tool for tool in tools if not tool.present())


if __name__ == "__main__":
    sys.stdout.write(" ".join(tool.package for tool in missing(needed())) + "\n")
