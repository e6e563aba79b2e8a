"""A release comes to the hosts: its archive, its tree beside the idle slot, its place in the slot, its migration."""

from __future__ import annotations

from collections.abc import Mapping

from fabfile.commands import release as commands
from fabfile.engine.step import HostStep
from fabfile.model.plan import AppPlan
from fabfile.model.release import Manifest
from fabfile.model.script import Result
from fabfile.rendering import environment_file, process_file, slot_variables
from fabfile.steps.target import Target


def upload(target: Target) -> HostStep:
    """Send the archive to the hosts that lack it; taken back by removing it there."""
    hosts = [host.host for host in target.plan.apps if host.upload]
    undoing = dict.fromkeys(hosts, commands.forget(target.paths, target.run, target.plan.release))
    manifest, archive = target.manifest, target.archive
    if manifest is None or archive is None:
        return HostStep("upload", "remove what was sent", undoing, undoing)
    receive = commands.receive(target.paths, target.run, manifest.id, manifest.digest, archive)
    title = f"send {manifest.id} ({manifest.size / 1e6:.1f} MB) to {len(hosts)} hosts"
    return HostStep("upload", title, dict.fromkeys(hosts, receive), undoing)


def unpack(target: Target) -> HostStep:
    """Unpack and verify the release beside the idle slot, with its environment and process file."""
    undoing = {host.host: commands.discard(target.paths, host.slot) for host in target.plan.apps}
    manifest = target.manifest
    if manifest is None:
        return HostStep("unpack", "remove what was unpacked", undoing, undoing)
    doing = {
        host.host: commands.unpack(
            target.paths, host.slot, manifest.id, target.environment.release, _control(target, manifest, host)
        )
        for host in target.plan.apps
    }
    return HostStep("unpack", f"unpack {target.plan.release} beside the idle slot and verify it", doing, undoing)


def place(target: Target) -> HostStep:
    """Rename the new tree into the idle slot and keep the former one beside it."""
    hosts = target.plan.apps
    return HostStep(
        "place",
        "put it into the idle slot",
        {host.host: commands.place(target.paths, host.slot, target.run) for host in hosts},
        {host.host: commands.unplace(target.paths, host.slot, target.run) for host in hosts},
    )


def migrate(target: Target) -> HostStep:
    """Run the application's migration once, on the first host. It only adds, so there is nothing to take back."""
    settings = target.environment.release
    title = "migrate the database"
    if not target.plan.apps:  # what is left of a run may be a host of nginx alone
        return HostStep("migrate", title, {})
    first = target.plan.apps[0]
    variables = slot_variables(target.environment, first.slot, first.address, first.port, target.plan.release)
    script = commands.migrate(
        target.paths, first.slot, settings.migrate, variables, first.node, settings.migrate_timeout
    )
    return HostStep("migrate", f"{title} from {first.host}", {first.host: script}, report=_last_lines)


def _last_lines(results: Mapping[str, Result]) -> list[str]:
    return [line for result in results.values() for line in result.stdout.strip().splitlines()[-5:]]


def _control(target: Target, manifest: Manifest, host: AppPlan) -> bytes:
    facts = f"release={manifest.id}\nport={host.port}\nconfiguration={target.configuration}\n"
    process = process_file(target.environment, host.slot, host.address, host.port, manifest.id, host.node)
    return commands.control_archive(
        {
            "checksums": (0o644, manifest.checksums().encode()),
            "ecosystem.json": (0o644, process),
            "manifest": (0o644, manifest.to_json().encode()),
            "env": (0o600, environment_file(target.secrets)),
            "run": (0o644, target.run.encode()),
            "slot": (0o600, facts.encode()),
        }
    )
