"""Why a run may not start: everything wrong with the hosts, all at once, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterable

from fabfile.commands.observe import TOOLS
from fabfile.config.schema import Environment
from fabfile.errors import Refused
from fabfile.model.observed import Observed, Slot
from fabfile.model.paths import Paths

PACKAGES = {"ss": "iproute2", "sha256sum": "coreutils", "timeout": "coreutils", "flock": "util-linux", "node": "nodejs"}
WEB_TOOLS = ("curl", "flock", "nginx", "ss", "sudo", "timeout")
APP_TOOLS = ("curl", "flock", "node", "pm2", "sha256sum", "ss", "tar", "timeout", "zstd")
HEADROOM = 64 << 20
"""Bytes that stay free on a host's disk after a release was unpacked."""


def refuse_if_unfit(
    observed: Iterable[Observed], environment: Environment, needed_bytes: int, files: int, judged: bool = False
) -> None:
    """Raise Refused with every problem of every host. `needed_bytes` is what the run will write on each; `judged` says
    that gates will read nginx's log."""
    problems = [
        f"{seen.host}: {problem}"
        for seen in observed
        for problem in host_problems(seen, environment, needed_bytes, files, judged)
    ]
    if problems:
        raise Refused("the hosts are not ready, so nothing was started", "mend what is named and try again", problems)


def host_problems(
    seen: Observed, environment: Environment, needed_bytes: int, files: int, judged: bool = False
) -> list[str]:
    """What stands in the way on one host, each with its remedy."""
    problems = []
    web, app = seen.host in environment.web_hosts, seen.host in environment.app_hosts
    needed = {*(WEB_TOOLS if web else ()), *(APP_TOOLS if app else ())}
    missing = [tool for tool in TOOLS if tool in needed and tool not in seen.tools]
    if missing:
        packages = sorted({PACKAGES.get(tool, tool) for tool in missing if tool != "pm2"})
        remedies = ([f"apt-get install {' '.join(packages)}"] if packages else []) + (
            ["npm install -g pm2"] if "pm2" in missing else []
        )
        problems.append(f"{', '.join(missing)} not found; as root: {'; '.join(remedies)}")
    paths = Paths(environment.app)
    if not seen.writable:
        problems.append(f"{paths.root} cannot be written by {seen.user}; as root: install -d -o {seen.user} /var/app")
    if web and not seen.nginx_writable:
        problems.append(
            f"{paths.nginx} is missing or not writable; as root: install -d -o {seen.user} {paths.nginx}, and in "
            f"/etc/nginx/conf.d/turnout.conf: include {paths.nginx}/*.conf;"
        )
    if web and judged and not seen.log_readable:
        problems.append(
            f"{paths.access_log} cannot be read by {seen.user}, and the gates need it; "
            f"as root: usermod -aG adm {seen.user}"
        )
    if not app:
        needed_bytes = files = 0
    if seen.free_bytes < needed_bytes + HEADROOM:
        problems.append(
            f"no space: {seen.free_bytes >> 20} MiB free for {paths.root}, "
            f"{(needed_bytes + HEADROOM) >> 20} MiB needed; free some, or lower release.keep"
        )
    if 0 < seen.free_inodes < files + 1000:
        problems.append(f"no inodes: {seen.free_inodes} free, {files + 1000} needed; remove small files")
    if seen.maintenance:
        problems.append("maintenance is on (a run was interrupted, or somebody set it); inv maintenance.off")
    if needed_bytes:
        problems += _port_problem(seen, environment, seen.idle)
    return problems


def _port_problem(seen: Observed, environment: Environment, slot: Slot) -> list[str]:
    port = getattr(environment.process.ports, slot)
    if seen.live and port == seen.slots[seen.live].port:
        return [f"port {port} of slot {slot} is the live slot's; give process.ports.{slot} another one"]
    if port in seen.ports:
        return [f"port {port} of slot {slot} is taken by {seen.ports[port]}; stop it, or change process.ports.{slot}"]
    return []
