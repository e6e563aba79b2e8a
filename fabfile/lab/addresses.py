"""Names and addresses: which subnet, link, container and MAC belong to which node of which lab."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fabfile.errors import BadInput

SUBNETS = 64
MOST_HOSTS = 200
LABEL = "turnout.lab"
DATABASE = "db"
STORE = "s3"
SERVICES = {DATABASE: 5, STORE: 6}


@dataclass(frozen=True)
class Subnet:
    """The lab's network 10.99.N.0/24 and the names of its links, which fit the kernel's 15 characters."""

    number: int

    @property
    def cidr(self) -> str:
        return f"10.99.{self.number}.0/24"

    @property
    def gateway(self) -> str:
        """The operator's own address on the bridge."""
        return f"10.99.{self.number}.1"

    @property
    def bridge(self) -> str:
        return f"tl{self.number}"

    def address(self, node: str) -> str:
        return f"10.99.{self.number}.{SERVICES.get(node) or 10 + int(node[1:])}"

    def port(self, node: str) -> str:
        """The operator's end of the node's cable."""
        return f"{self.bridge}{node}"

    def mac(self, node: str) -> str:
        """Fixed, as a real card's is: with a new one the neighbours' ARP caches hide a rebooted host for ~20 s."""
        return _mac(self.address(node))

    @property
    def gateway_mac(self) -> str:
        """Fixed, too: a bridge would take the lowest of its cards', which come and go with their machines."""
        return _mac(self.gateway)

    def hosts_file(self, nodes: tuple[str, ...]) -> tuple[str, ...]:
        """`name:address` for each node, as container engines take them."""
        return tuple(f"{node}:{self.address(node)}" for node in nodes)


def _mac(address: str) -> str:
    return "02:4c:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def lab_name(name: str) -> str:
    """The name itself, if containers and namespaces can bear it.

    Raises:
        BadInput: it is not 1-20 lower-case letters, digits and dashes after a letter.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", name):
        raise BadInput(
            f"{name!r} is no name for a lab", "use a letter, then up to 19 letters, digits or dashes: --name=demo"
        )
    return name


def host_names(count: int) -> tuple[str, ...]:
    """h1 … hN.

    Raises:
        BadInput: `count` is not between 1 and 200.
    """
    if not 1 <= count <= MOST_HOSTS:
        raise BadInput(f"a lab cannot have {count} web hosts", f"--hosts takes 1 to {MOST_HOSTS}")
    return tuple(f"h{number}" for number in range(1, count + 1))


def qualified(lab: str, node: str) -> str:
    """The name of a node's container or network namespace."""
    return f"turnout-{lab}-{node}"
