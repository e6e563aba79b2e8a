"""Which host keys are trusted: the project's known_hosts file, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import paramiko

from fabfile.errors import BadInput


def known_name(address: str, port: int) -> str:
    """The name under which OpenSSH and Paramiko look a key up."""
    return address if port == 22 else f"[{address}]:{port}"


def fingerprint(key: paramiko.PKey) -> str:
    """The SHA-256 fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")


def load(path: Path) -> paramiko.HostKeys:
    """The trusted keys; a file that does not exist trusts nobody. Raises BadInput for one that cannot be read."""
    keys = paramiko.HostKeys()
    if path.exists():
        try:
            keys.load(str(path))
        except (OSError, paramiko.SSHException, UnicodeDecodeError) as error:
            raise BadInput(
                f"{path}: cannot be read as a known_hosts file: {error}", "mend or remove it; inv hosts.trust"
            ) from error
    return keys


def standing(path: Path, name: str, key: paramiko.PKey) -> str:
    """Whether this key is `trusted already`, `CHANGED` against the trusted one, or `new`."""
    known = load(path).lookup(name)
    if known is None:
        return "new"
    return "trusted already" if known.get(key.get_name()) == key else "CHANGED"


def trust(path: Path, name: str, key: paramiko.PKey) -> None:
    """Make `key` the only one for `name`; the file is replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = [line for line in (path.read_text().splitlines() if path.exists() else []) if not _names(line, name)]
    new = path.with_name(path.name + ".new")
    with new.open("w") as file:
        file.write("\n".join([*kept, f"{name} {key.get_name()} {key.get_base64()}"]) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _names(line: str, name: str) -> bool:
    fields = line.split()
    return bool(fields) and not line.startswith(("#", "@")) and name in fields[0].split(",")
