"""A release tried out in a scratch slot of one host, against files and a database that nobody uses yet."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from fabfile.commands import scratch
from fabfile.commands.release import control_archive
from fabfile.config.schema import Environment
from fabfile.engine.step import HostStep
from fabfile.model.paths import Paths
from fabfile.model.release import Manifest
from fabfile.model.script import Result, Script
from fabfile.rendering import environment_file, scratch_variables
from fabfile.steps.target import Target


def smoke(target: Target, secrets: Mapping[str, SecretStr], shared: str) -> HostStep:
    """Start the run's release on the first app host with these secrets and the shared files in `shared` (absolute), as
    soon as the host has its archive; it ends and is removed once it was healthy, so there is nothing to take back."""
    first, manifest, paths = target.plan.apps[0], target.manifest, target.paths
    title = f"try {target.plan.release} on {first.host} in a scratch slot that nobody sees"
    undoing = {first.host: scratch.drop(paths, target.run)}
    if manifest is None:
        return HostStep("smoke", title, undoing, undoing)
    archive = f"{paths.releases}/{manifest.id}.tar.zst"
    script = trial(target.environment, paths, target.run, manifest, archive, shared, secrets, first.node)
    return HostStep("smoke", title, {first.host: script}, undoing, report=_healthy)


def trial(
    environment: Environment,
    paths: Paths,
    run: str,
    manifest: Manifest,
    archive: str,
    shared: str,
    secrets: Mapping[str, SecretStr],
    node: str,
) -> Script:
    """The script behind `smoke`; see `commands.scratch.try_release`."""
    control = control_archive(
        {"checksums": (0o644, manifest.checksums().encode()), "env": (0o600, environment_file(secrets))}
    )
    return scratch.try_release(
        paths,
        run,
        manifest.id,
        archive,
        shared,
        control,
        scratch_variables(environment, paths, run, manifest.id),
        node,
        environment.release,
        environment.process,
        environment.health,
    )


def _healthy(results: Mapping[str, Result]) -> list[str]:
    return [
        f"healthy on {host} after {sum(scratch.parse(result.stdout).values()):.1f} s"
        for host, result in results.items()
    ]
