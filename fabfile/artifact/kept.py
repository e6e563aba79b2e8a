"""A release that the hosts keep: its manifest, and its archive for the hosts that lack it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from fabfile.artifact.archive import ARCHIVE, Release
from fabfile.commands import archive
from fabfile.errors import BadInput, TurnoutError
from fabfile.model.paths import Paths
from fabfile.model.release import Manifest
from fabfile.remote.port import Host


def fetch_kept(hosts: Sequence[Host], paths: Paths, identity: str, folder: Path, whole: bool) -> Release:
    """The release from the first of these hosts that has it undamaged; with `whole` its archive, too, in `folder`.

    Raises BadInput when there is no such host.
    """
    path = folder / f"{identity}{ARCHIVE}"
    reasons = []
    for host in hosts:
        try:
            manifest = Manifest.from_json(
                host.run(archive.manifest(paths, identity)).stdout, f"{host.name}: {identity}"
            )
            if whole:
                _fetch(host, paths, manifest, path)
            return Release(path, manifest)
        except TurnoutError as error:
            reasons.append(error.fact)
    raise BadInput(
        f"no host keeps release {identity}", "inv releases lists what is kept; inv deploy sends one", reasons
    )


def digest_kept(host: Host, paths: Paths, identity: str) -> str | None:
    """The SHA-256 of the archive of this name that a host keeps, or None. Raises BadInput for a damaged manifest."""
    text = host.run(archive.kept(paths, identity)).stdout
    return Manifest.from_json(text, f"{host.name}: {identity}").digest if text else None


def _fetch(host: Host, paths: Paths, manifest: Manifest, path: Path) -> None:
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for chunk in host.stream(archive.send(paths, manifest.id)):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != manifest.digest:
        raise TurnoutError(f"{host.name}: its archive of {manifest.id} is damaged")
