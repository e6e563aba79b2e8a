"""The shared directory of a host: packed while in use, unpacked beside, swapped by rename, and put back."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.restore import beside_files, kept_files
from fabfile.model.script import Script

LIMIT = 4 * 3600.0
"""Seconds that packing or unpacking may take."""

# The application goes on writing: tar's status 1 says that a file changed while it was read, and the archive is sound.
PACK = r"""
if [ -d "$shared" ]; then cd "$shared"; set -- .; else cd /; set -- --files-from=/dev/null; fi
{ tar -c --format=posix "$@" < /dev/null || [ $? = 1 ]; } | zstd -3 -q -T0
"""

UNPACK = r"""
umask 022
cd "$root"
rm -rf "$beside" "$beside.part"
mkdir "$beside.part"
zstd -q -dc | tar -x -p --no-same-owner -C "$beside.part" || fail "the shared files did not arrive whole"
sync -f "$beside.part"
mv "$beside.part" "$beside"
sync .
"""

SWAP = r"""
cd "$root"
if [ -e "$beside" ]; then
    if [ ! -e "$before" ]; then
        if [ -e shared ]; then mv -T shared "$before"; else mkdir "$before"; fi
        sync .
    fi
    [ ! -e shared ] || fail "$root/shared was made anew during the swap" "look into it and into $root/$before"
    mv -T "$beside" shared
    sync .
elif [ ! -e "$before" ] || [ ! -e shared ]; then
    fail "there are no restored files in $root/$beside"
fi
"""

UNSWAP = r"""
cd "$root"
[ -e "$before" ] || exit 0
if [ -e shared ]; then
    [ ! -e "$beside" ] || fail "$root/shared was made anew during the swap" "look into it and into $root/$before"
    mv -T shared "$beside"
    sync .
fi
mv -T "$before" shared
sync .
"""

KEPT = r"""
cd "$root" 2>/dev/null || exit 0
for folder in .shared.before-*; do
    [ ! -d "$folder" ] || printf '%s %s\n' "${folder#.shared.before-}" "$(du -sB1 -- "$folder" | cut -f1)"
done
"""

DROP = r"""
cd "$root" 2>/dev/null || exit 0
rm -rf "${gone[@]}"
sync .
"""


def pack(paths: Paths) -> Script:
    """Write a compressed tar of the whole shared directory to standard output; an absent one is an empty archive."""
    return Script(bind(PACK, shared=paths.shared), timeout=LIMIT)


def unpack_beside(paths: Paths, run: str) -> Script:
    """Unpack what comes on standard input beside the shared directory, afresh: whole and durable, or not at all."""
    return Script(bind(UNPACK, root=paths.root, beside=beside_files(run)), timeout=LIMIT, mutates=True)


def swap_shared(paths: Paths, run: str, undoes: str = "") -> Script:
    """Put the unpacked files in place and keep what was there; twice is the same as once, and so is after a break.

    With `undoes` it is not unpacked files that come, but those that the swap of that run kept.
    """
    return _renaming(SWAP, paths, run, undoes)


def unswap_shared(paths: Paths, run: str, undoes: str = "") -> Script:
    """Give back what `swap_shared` kept, and lay what had come beside again; does nothing where no swap was."""
    return _renaming(UNSWAP, paths, run, undoes)


def drop_beside(paths: Paths, run: str) -> Script:
    """Remove what `unpack_beside` made, unless it was swapped in."""
    return _dropping(paths, beside_files(run), f"{beside_files(run)}.part")


def drop_before(paths: Paths, run: str) -> Script:
    """Remove the files that `swap_shared` kept: the restore cannot be undone any more."""
    return _dropping(paths, kept_files(run))


def list_kept(paths: Paths) -> Script:
    """Print what `swap_shared` kept and nobody dropped: the run and the bytes on disk, a line each."""
    return Script(bind(KEPT, root=paths.root), timeout=900)


def parse_kept(stdout: str) -> dict[str, int]:
    """Bytes by run, from what `list_kept` printed."""
    return {run: int(size) for run, size in (line.split() for line in stdout.splitlines())}


def _renaming(body: str, paths: Paths, run: str, undoes: str) -> Script:
    beside = kept_files(undoes) if undoes else beside_files(run)
    return Script(bind(body, root=paths.root, beside=beside, before=kept_files(run)), timeout=60, mutates=True)


def _dropping(paths: Paths, *gone: str) -> Script:
    return Script(bind(DROP, root=paths.root, gone=gone), timeout=900, mutates=True)
