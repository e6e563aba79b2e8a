"""A drill: the whole application of a backup, started on one host beside everything live, and timed."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from fabfile.artifact.archive import Release
from fabfile.commands import scratch
from fabfile.errors import TurnoutError
from fabfile.model.recovery_point import RELEASE, RecoveryPoint
from fabfile.recovery.integrity import Checked
from fabfile.recovery.scope import Scope
from fabfile.remote.port import Host
from fabfile.steps.scratch import trial
from fabfile.storage.port import beside


def start_beside(
    scope: Scope,
    point: RecoveryPoint,
    release: Release,
    secrets: Mapping[str, SecretStr],
    host: Host,
    node: str,
    run: str,
) -> dict[str, float]:
    """Bring the files and the release of a backup to a scratch slot, see it healthy with these secrets, and remove it.

    Returns the seconds of each phase up to the first healthy answer. Everything comes from the store: that is what a
    new machine would have to wait for. Raises RemoteError when it does not get healthy.
    """
    store, paths, phases = scope.catalogue.store, scope.paths, dict[str, float]()
    try:
        files, archive = point.files(host.name), point.part(RELEASE)
        assert archive, "a drill is only held with a backup that has a release"
        if files:
            phases["files"] = host.run(scratch.load_files(paths, run), Checked(store, files, scope.identity)).seconds
        receive = scratch.receive(paths, run, release.manifest.digest)
        phases["release"] = host.run(receive, Checked(store, archive)).seconds
        home = paths.scratch(run)
        path, shared = f"{home}/release.tar.zst", f"{home}/shared"
        script = trial(scope.environment, paths, run, release.manifest, path, shared, secrets, node)
        phases |= scratch.parse(host.run(script).stdout)
    except BaseException as error:
        try:
            host.run(scratch.drop(paths, run))
        except TurnoutError as second:
            beside(error, f"{paths.scratch(run)} is still on {host.name}: {second.fact}")
        raise
    host.run(scratch.drop(paths, run))
    return {name: round(seconds, 3) for name, seconds in phases.items()}
