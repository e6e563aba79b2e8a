"""The archive of a release on a host, as it leaves the host again: for the backup store."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.script import Script

SOUND = r"""
if [ -e "$archive" ] && zstd -q -t "$archive" 2> /dev/null; then echo sound; fi
"""

SEND = r"""
cat "$archive"
"""


MANIFEST = r"""
cat "$manifest"
"""

KEPT = r"""
[ ! -e "$manifest" ] || cat "$manifest"
"""


def manifest(paths: Paths, release: str) -> Script:
    """Write the release's manifest to standard output."""
    return Script(bind(MANIFEST, manifest=f"{paths.releases}/{release}.json"), timeout=60)


def kept(paths: Paths, release: str) -> Script:
    """As `manifest`; nothing where the release is not kept."""
    return Script(bind(KEPT, manifest=f"{paths.releases}/{release}.json"), timeout=60)


def sound(paths: Paths, release: str) -> Script:
    """Print `sound` when the archive is there and undamaged, else nothing."""
    return Script(bind(SOUND, archive=f"{paths.releases}/{release}.tar.zst"), timeout=600)


def send(paths: Paths, release: str) -> Script:
    """Write the archive to standard output."""
    return Script(bind(SEND, archive=f"{paths.releases}/{release}.tar.zst"), timeout=3600)
