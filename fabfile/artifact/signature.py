"""Who has built a release: its manifest, which holds the archive's SHA-256, signed by an SSH key."""

from __future__ import annotations

import os
from pathlib import Path

from fabfile.artifact.archive import Release, manifest_path, signature_path
from fabfile.errors import BadInput, Refused
from fabfile.model.approval import Signer
from fabfile.signing import sign, signer_of

NAMESPACE = "turnout"


def signing_with(key: Path) -> Path:
    """The key's file, before anything is built in vain. Raises BadInput where there is none."""
    if not key.is_file():
        raise BadInput(
            f"releases are to be signed, and there is no key {key}",
            "name it: artifacts.key, or export TURNOUT_SIGNING_KEY=~/.ssh/id_ed25519",
        )
    return key


def sign_release(release: Release, key: Path) -> Release:
    """The release with a signature beside its manifest. Raises BadInput when the key cannot be used."""
    signature = sign(release.manifest.to_json(), key, NAMESPACE)
    path = signature_path(release.path)
    temporary = path.with_name(f".{path.name}")
    with temporary.open("w", encoding="ascii") as file:
        file.write(signature)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return Release(release.path, release.manifest, signature)


def builder_of(release: Release, signers: Path) -> Signer:
    """Whose signature the release bears, in the eyes of a file of allowed signers.

    Raises Refused for a release that is not signed, or by nobody in that file; BadInput where there is no such file.
    """
    identity, file = release.manifest.id, manifest_path(release.path).name
    again = f"sign what you trust: ssh-keygen -Y sign -n {NAMESPACE} -f KEY dist/{file}; or build it again: inv build"
    if release.signature is None:
        raise Refused(f"{identity} is not signed, and only what somebody in {signers} has signed is deployed", again)
    try:
        return signer_of(release.manifest.to_json(), release.signature, NAMESPACE, signers)
    except Refused as error:
        raise Refused(f"{identity}: {error.fact}", f"{error.hint}; {again}") from error
