"""A dump as the SQL that it holds, made where pg_restore is; no server is needed and none is asked."""

from __future__ import annotations

from fabfile.commands.pg_dump import LIMIT
from fabfile.commands.shell import bind
from fabfile.model.script import Script

VERSION = r"""
if command -v zstd > /dev/null && command -v pg_restore > /dev/null; then
    found=$(pg_restore --version)
    printf '%s\n' "$found" | sed -n '1s/^[^0-9]*\([0-9]*\).*/\1/p'
fi
"""

# pg_restore may want to go back in what it reads; the file has no name, so nothing of it is left behind.
CONVERT = r"""
folder=${TMPDIR:-/var/tmp}
spool=$(mktemp -p "$folder" .turnout.XXXXXXXX)
exec 9<> "$spool"
rm -f "$spool"
zstd -q -dc >&9 || fail "the dump did not arrive whole, or $folder is full"
pg_restore -f - /proc/self/fd/9 < /dev/null
"""


def version() -> Script:
    """Print the major version of pg_restore, or nothing where it or zstd is missing."""
    return Script(bind(VERSION), timeout=30)


def parse_version(stdout: str) -> int:
    """The major version; 0 where there is none."""
    return int(stdout.strip() or 0)


def convert() -> Script:
    """Write the SQL of the compressed dump on standard input to standard output; status 0 alone says that it is whole.

    Needs room for the dump, unpacked, in TMPDIR or /var/tmp.
    """
    return Script(bind(CONVERT), timeout=LIMIT)
