"""The container engine: podman or docker as a holder of processes and disks, never of networks."""

from __future__ import annotations

import json
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

from fabfile.lab import prerequisites
from fabfile.lab.addresses import LABEL
from fabfile.lab.processes import run, run_long

CACHE = Path("/var/cache/turnout-lab")
OPEN_FILES = 10000
CGROUP_V1_SYSTEMD = Path("/sys/fs/cgroup/systemd")


@dataclass(frozen=True)
class Engine:
    """One engine and the words that every call of it begins with."""

    program: str
    words: tuple[str, ...]

    def run(self, *arguments: str | Path, text: str = "", check: bool = True) -> str:
        """The engine's stdout; see `processes.run` for what it raises."""
        return run(*self.words, *arguments, text=text, check=check)

    def run_long(self, *arguments: str | Path, log: Path) -> None:
        run_long(*self.words, *arguments, log=log)

    def has_image(self, tag: str) -> bool:
        return bool(self.run("images", "-q", tag))

    def machine_options(self) -> tuple[str, ...]:
        """What lets systemd run as PID 1 in a container."""
        if self.program == "podman":
            return ("--systemd=always", "--log-driver=none")
        tmpfs = ("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp")  # noqa: S108 - a path in the container
        if CGROUP_V1_SYSTEMD.exists():
            return (*tmpfs, "-v", f"{CGROUP_V1_SYSTEMD}:{CGROUP_V1_SYSTEMD}")
        return (*tmpfs, "--privileged", "--cgroupns=private")

    def pid(self, container: str) -> int:
        """The container's first process; 0 when it is off or does not exist."""
        return int(self.run("inspect", "-f", "{{.State.Pid}}", container, check=False) or 0)

    def labelled(self) -> dict[str, str]:
        """Every lab container of this machine, running or not, with the name of its lab."""
        labels = "index .Labels" if self.program == "podman" else ".Label"
        template = f'{{{{.Names}}}} {{{{{labels} "{LABEL}"}}}}'
        lines = self.run("ps", "-a", "--filter", f"label={LABEL}", "--format", template).splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def remove(self, containers: tuple[str, ...]) -> None:
        """Power off at once and take away, disk included."""
        if containers:
            self.run("rm", "-f", "-v", *(("-t", "0") if self.program == "podman" else ()), *containers)


def find_engine() -> Engine:
    """Podman, or docker where only that is there."""
    program = prerequisites.engine_program()
    return Engine(
        program, ("env", f"CONTAINERS_CONF={_podman_settings()}", "podman") if program == "podman" else (program,)
    )


def _podman_settings() -> Path:
    """Podman's default limits and runtime do not start everywhere; this file says what does."""
    CACHE.mkdir(parents=True, exist_ok=True)
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    allowed = OPEN_FILES if open_files == resource.RLIM_INFINITY else min(open_files, OPEN_FILES)
    limits = json.dumps([f"nofile={allowed}:{allowed}", "nproc=8192:8192"])
    # The hosts file of the operator's machine is no business of a host's.
    own_names = 'base_hosts_file = "none"\nhost_containers_internal_ip = "none"\n'
    text = f'[containers]\ndefault_ulimits = {limits}\n{own_names}[network]\nnetwork_backend = "netavark"\n'
    if shutil.which("runc"):
        text += '[engine]\nruntime = "runc"\n'
    path = CACHE / "containers.conf"
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path
