"""What a lab remembers on disk: one private folder with its facts, its key and the files that clients read."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fabfile.errors import BadInput
from fabfile.lab.addresses import DATABASE, STORE, Subnet, host_names

ROOT = Path("/var/tmp/turnout-lab")  # noqa: S108 - one fixed place; the folders in it are root's and private
S3_PORT = 9000
S3_TLS_PORT = 9443
BUCKET = "backups"


def _secret() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True)
class State:
    """One lab's facts; `store` is moto, ceph or none."""

    name: str
    subnet_number: int
    host_count: int
    store: str
    image: str
    superuser_password: str = field(default_factory=_secret, repr=False)
    application_password: str = field(default_factory=_secret, repr=False)
    access_key: str = "lab"
    secret_key: str = field(default_factory=_secret, repr=False)

    @property
    def subnet(self) -> Subnet:
        return Subnet(self.subnet_number)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The web hosts."""
        return host_names(self.host_count)

    @property
    def machines(self) -> tuple[str, ...]:
        """The nodes that are whole Debian hosts, with sshd."""
        return (*self.hosts, DATABASE)

    @property
    def nodes(self) -> tuple[str, ...]:
        return (*self.machines, *(() if self.store == "none" else (STORE,)))

    @property
    def folder(self) -> Path:
        return folder(self.name)

    @property
    def store_certificate(self) -> Path:
        """What the S3 server shows behind https, and the authority for it as well."""
        return self.folder / "s3.crt"

    @property
    def store_key(self) -> Path:
        """The private key of that certificate, with the certificate after it."""
        return self.folder / "s3.pem"

    @property
    def environment(self) -> dict[str, str]:
        """What an operator's environment needs to use this lab, by variable."""
        database = {
            "TURNOUT_DB_PASSWORD": self.superuser_password,
            "DATABASE_URL": f"postgresql://app:{self.application_password}@{DATABASE}:5432/app",
        }
        if self.store == "none":
            return database
        return database | {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "S3_ENDPOINT": f"http://{self.subnet.address(STORE)}:{S3_PORT}",
            "S3_TLS_ENDPOINT": f"https://{self.subnet.address(STORE)}:{S3_TLS_PORT}",
            "S3_CA_FILE": str(self.store_certificate),
        }


def folder(name: str) -> Path:
    """Where the lab `name` keeps everything it has on disk."""
    return ROOT / name


def ssh_config(state: State) -> str:
    """An OpenSSH client configuration by which every machine of the lab goes under its name."""
    hosts = [f"Host {node}\n  HostName {state.subnet.address(node)}\n  Port 22\n" for node in state.machines]
    every = ("User deploy", f"IdentityFile {state.folder}/key", "IdentitiesOnly yes")
    checked = (f"UserKnownHostsFile {state.folder}/known_hosts", "StrictHostKeyChecking yes")
    return "".join([*hosts, "Host *\n", *(f"  {line}\n" for line in (*every, *checked))])


def known_hosts(state: State, host_keys: dict[str, str]) -> str:
    """One line for each machine, by name and by address; `host_keys` are public key lines."""
    lines = (
        f"{node},{state.subnet.address(node)} {' '.join(key.split()[:2])}\n" for node, key in sorted(host_keys.items())
    )
    return "".join(lines)


def save(state: State) -> None:
    """Write what clients read, then `lab.json`: where that is, the lab was complete."""
    machines = {node: (state.folder / node / "host_key.pub").read_text() for node in state.machines}
    _write(state.folder / "known_hosts", known_hosts(state, machines))
    _write(state.folder / "ssh_config", ssh_config(state))
    _write(state.folder / "environment", "".join(f"{name}={value}\n" for name, value in state.environment.items()))
    facts = asdict(state) | {"addresses": {node: state.subnet.address(node) for node in state.nodes}}
    _write(state.folder / "lab.json", json.dumps(facts, indent=2) + "\n")


def load(name: str) -> State | None:
    """The state of a complete lab; None when there is no such lab, or only a part of one.

    Raises:
        BadInput: its `lab.json` cannot be used.
    """
    path = folder(name) / "lab.json"
    try:
        facts = json.loads(path.read_text())
        facts.pop("addresses")
        return State(**facts)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not the state of a lab: {error}", f"inv lab.down --name={name}") from error


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.rename(path)
