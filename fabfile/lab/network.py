"""The lab's wires: a bridge that claims a subnet, and one cable to each node.

Nothing can leave: an unreachable route stands behind the bridge before it has an address, nodes get no default route,
and nothing is translated or forwarded.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from fabfile.errors import Refused, TurnoutError
from fabfile.lab.addresses import SUBNETS, Subnet
from fabfile.lab.processes import run

BEHIND_EVERYTHING = "4096"
ALIAS = re.compile(r"turnout-lab:(?P<lab>[a-z0-9-]+):(?P<machine>[0-9a-f]+)")


def machine() -> str:
    """Tells this file system's labs from those of a chroot or container that shares the network."""
    return f"{Path('/var/tmp').stat().st_ino:x}"  # noqa: S108 - its inode is asked for, nothing is written there


def claim(lab: str) -> Subnet:
    """Take the first free subnet; creating its bridge is the claim, and the kernel lets only one win.

    Raises:
        Refused: all of them are taken.
        TurnoutError: this kernel or user may not make bridges.
    """
    for number in range(SUBNETS):
        subnet = Subnet(number)
        if Path("/sys/class/net", subnet.bridge).exists() or _used_elsewhere(subnet):
            continue
        try:
            run("ip", "link", "add", subnet.bridge, "address", subnet.gateway_mac, "type", "bridge")
        except TurnoutError:
            if not Path("/sys/class/net", subnet.bridge).exists():
                raise
            continue
        _prepare(subnet, lab)
        return subnet
    raise Refused(f"all {SUBNETS} lab subnets are taken", "remove the labs of this machine: inv lab.down --all")


def _used_elsewhere(subnet: Subnet) -> bool:
    routes = run("ip", "-o", "route", "show", "match", subnet.cidr).splitlines()
    return any(not route.startswith(("default", "unreachable")) for route in routes)


def _prepare(subnet: Subnet, lab: str) -> None:
    run("ip", "link", "set", subnet.bridge, "alias", f"turnout-lab:{lab}:{machine()}")
    run("ip", "route", "replace", "unreachable", subnet.cidr, "metric", BEHIND_EVERYTHING)
    disable_ipv6 = Path("/proc/sys/net/ipv6/conf", subnet.bridge, "disable_ipv6")
    if disable_ipv6.exists():
        disable_ipv6.write_text("1")
    run("ip", "addr", "add", f"{subnet.gateway}/24", "dev", subnet.bridge)
    run("ip", "link", "set", subnet.bridge, "up")


def claimed() -> dict[str, list[Subnet]]:
    """The subnets that labs of this file system hold, by lab."""
    found: dict[str, list[Subnet]] = {}
    for link in json.loads(run("ip", "-j", "link", "show", "type", "bridge") or "[]"):
        alias = ALIAS.fullmatch(link.get("ifalias", ""))
        if alias and alias["machine"] == machine() and re.fullmatch(r"tl\d+", link["ifname"]):
            found.setdefault(alias["lab"], []).append(Subnet(int(link["ifname"][2:])))
    return found


def plug(subnet: Subnet, node: str, *, pid: int = 0, namespace: str = "") -> None:
    """Give a running container (its pid) or a network namespace (its name) a new cable into the bridge."""
    unplug(subnet, node)
    port = subnet.port(node)
    peer = ("peer", "name", "eth0", "address", subnet.mac(node), "netns", str(pid or namespace))
    run("ip", "link", "add", port, "type", "veth", *peer)
    run("ip", "link", "set", port, "master", subnet.bridge, "up")
    inside = ("nsenter", "-t", str(pid), "-n", "ip") if pid else ("ip", "-n", namespace)
    setup = f"link set lo up\naddr add {subnet.address(node)}/24 dev eth0\nlink set eth0 up\n"
    run(*inside, "-batch", "-", text=setup)


def unplug(subnet: Subnet, node: str) -> None:
    """Take the node's cable away, with whatever slows or cuts it."""
    port = subnet.port(node)
    mend(port)
    for link in (port, relay_end(port)):
        run("ip", "link", "del", link, check=False)


def cut(port: str) -> None:
    """Pull the cable: connections are refused by the kernel at once or time out, as ARP finds nobody."""
    run("ip", "link", "set", port, "down")


def drop(port: str) -> None:
    """A black hole: IP frames vanish both ways while ARP still answers, so connections time out."""
    mend(port)
    run(
        "nft",
        "-f",
        "-",
        text=f"""table netdev {port} {{
        chain in  {{ type filter hook ingress device {port} priority 0; meta protocol ip drop; }};
        chain out {{ type filter hook egress device {port} priority 0; meta protocol ip drop; }};
        }}""",
    )


def mend(port: str) -> None:
    """Undo `cut` and `drop`; nothing happens to a healthy cable."""
    run("nft", "delete", "table", "netdev", port, check=False)
    run("ip", "link", "set", port, "up", check=False)


def cable(port: str) -> str:
    """`plugged`, `cut`, `dropping` or `none`."""
    flags = Path("/sys/class/net", port, "flags")
    if not flags.exists():
        return "none"
    if not int(flags.read_text(), 16) & 1:
        return "cut"
    return "dropping" if f"table netdev {port}" in run("nft", "list", "tables").splitlines() else "plugged"


def relay_end(port: str) -> str:
    """The far end of the detour that a slow cable takes; its other end is a port of the bridge."""
    return f"{port}-d"


def detour(subnet: Subnet, node: str, mbit: float | None) -> None:
    """Take the node off the bridge; a relay has to carry its frames to `relay_end` and back.

    At most `mbit` Mbit/s pass each way; None is no limit.
    """
    port, far = subnet.port(node), relay_end(subnet.port(node))
    run("ip", "link", "add", far, "up", "type", "veth", "peer", "name", f"{port}-b")
    run("ip", "link", "set", f"{port}-b", "master", subnet.bridge, "up")
    run("ip", "link", "set", port, "nomaster")
    if mbit is not None:
        for link in (port, far):
            bucket = ("tbf", "rate", f"{mbit}mbit", "burst", "32k", "latency", "400ms")
            run("tc", "qdisc", "replace", "dev", link, "root", *bucket)


def full_speed(subnet: Subnet, node: str) -> None:
    """Undo `detour`; the relay ends when its link goes."""
    port = subnet.port(node)
    run("tc", "qdisc", "del", "dev", port, "root", check=False)
    run("ip", "link", "del", relay_end(port), check=False)
    run("ip", "link", "set", port, "master", subnet.bridge, check=False)


def release(subnet: Subnet) -> None:
    """Remove every link, rule and route of the subnet; the bridge, which is the claim, goes last."""
    ours = re.compile(rf"{subnet.bridge}(h\d+|db|s3)(-d)?")
    for line in run("nft", "list", "tables").splitlines():
        if ours.fullmatch(line.removeprefix("table netdev ")):
            run("nft", "delete", *line.split(), check=False)
    for link in Path("/sys/class/net").iterdir():
        if ours.fullmatch(link.name):
            run("ip", "link", "del", link.name, check=False)
    run("ip", "route", "del", "unreachable", subnet.cidr, "metric", BEHIND_EVERYTHING, check=False)
    run("ip", "link", "del", subnet.bridge, check=False)
