"""`inv build`: the application's directory becomes a release that can be deployed anywhere."""

from __future__ import annotations

from fabfile.ui.reporter import Reporter
from fabfile.verb import ENV, JSON, verb


@verb(
    help={
        "env": ENV,
        "source": "the application's directory; default: build.source of the environment",
        "out": "where the archive and its manifest go; default: dist",
        "json": JSON,
    }
)
def build(
    reporter: Reporter, env: str | None = None, source: str | None = None, out: str = "dist", json: bool = False
) -> None:
    """Run the project's build commands in a clean copy and pack the result, with a manifest, as one release."""
    import os
    from pathlib import Path

    from fabfile.artifact.build import build as make
    from fabfile.backends import PROJECT
    from fabfile.config.load import choose, load

    settings = load(choose(env, PROJECT, os.environ), PROJECT).build
    folder = Path(source) if source else PROJECT / settings.source
    target = PROJECT / out
    manifest = make(folder, target, settings.commands, settings.exclude, reporter.say)
    path = target / f"{manifest.id}.tar.zst"
    facts = {"id": manifest.id, "path": str(path), "size": manifest.size, "digest": manifest.digest}
    reporter.answer(f"{manifest.id}  {path}  {manifest.size / 1e6:.1f} MB  {len(manifest.files)} files", facts)
