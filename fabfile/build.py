"""`inv build`: the application's directory is checked and becomes a release that can be deployed anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fabfile.errors import BadInput
from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb

if TYPE_CHECKING:
    from fabfile.artifact.archive import Release
    from fabfile.backends import Backends


@verb(
    help={
        "env": ENV,
        "source": "the application's directory; default: build.source of the environment",
        "out": "where the archive and its manifest go; default: dist",
        "push": "store it in the environment's bucket, too; default: artifacts.push of the environment",
        "json": JSON,
    }
)
def build(
    reporter: Reporter,
    env: str | None = None,
    source: str | None = None,
    out: str = "dist",
    push: bool = False,
    json: bool = False,
) -> None:
    """Run the project's checks, then its build commands, each in a clean copy, and pack the result as one release."""
    import os
    from pathlib import Path

    from fabfile.artifact.archive import open_release
    from fabfile.artifact.build import build as make
    from fabfile.artifact.signature import sign_release, signing_with
    from fabfile.backends import PROJECT, Backends
    from fabfile.config.approvals import signing_key
    from fabfile.config.load import choose, load
    from fabfile.config.variables import secret_values
    from fabfile.remote.fleet import Fleet

    name = choose(env, PROJECT, os.environ)
    environment = load(name, PROJECT)
    settings, kept = environment.build, environment.artifacts
    backends = Backends(name, environment, Fleet({}), reporter)
    backends.hide(secret_values(environment, os.environ))  # commands inherit them, and a failed one's output is told
    if push and environment.backup is None:
        raise BadInput(
            f"hosts/{name}.yml has no backup section, and --push stores releases in its bucket",
            "hosts/example.yml shows one; or leave --push out",
        )
    key = signing_with(signing_key(kept.key, PROJECT, os.environ)) if kept.signers else None
    target = PROJECT / out
    folder = Path(source) if source else PROJECT / settings.source
    manifest = make(folder, target, settings.commands, settings.exclude, reporter.say, settings.checks)
    release = open_release(manifest.id, target)
    if key:
        release = sign_release(release, key)
    if push or kept.push:
        _store(backends, release)
    facts = {
        "id": manifest.id,
        "path": str(release.path),
        "size": manifest.size,
        "digest": manifest.digest,
        "signed": key is not None,
        "pushed": push or kept.push,
    }
    reporter.answer(f"{manifest.id}  {release.path}  {manifest.size / 1e6:.1f} MB  {len(manifest.files)} files", facts)


def _store(backends: Backends, release: Release) -> None:
    new, name = backends.shelf.push(release), backends.name
    backends.reporter.say(f"stored in the bucket of {name}" if new else f"the bucket of {name} has it already")
