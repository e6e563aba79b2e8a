"""pg_dump and pg_restore on the host nearest to the server; the password comes on standard input and is on no disk."""

from __future__ import annotations

from pydantic import SecretStr

from fabfile.commands.shell import bind
from fabfile.config.database import DatabaseSettings
from fabfile.errors import BadInput
from fabfile.model.script import Script

LIMIT = 4 * 3600.0
"""Seconds that a dump or a restore may take."""

# Both files are unlinked before anything is written to them and reached through /proc/self/fd: nothing is left behind,
# even by SIGKILL or a power cut. libpq takes such a password file, and each worker of pg_restore can open the archive.
CLIENT = r"""
for tool in "${tools[@]}"; do
    command -v "$tool" > /dev/null || fail "$tool is not installed here" "install postgresql-client and zstd"
done
export PGHOST="$host" PGPORT="$port" PGUSER="$user" PGDATABASE="$name" PGCONNECT_TIMEOUT=10
version=$("${tools[0]}" --version)
major=$(printf '%s\n' "$version" | sed -n '1s/^[^0-9]*\([0-9]*\).*/\1/p')
[ "${major:-0}" -ge "$server" ] || fail "${tools[0]} $major is older than the server, PostgreSQL $server" \
    "install postgresql-client-$server here"
folder=${TMPDIR:-/var/tmp}
secret=$(mktemp -p "$folder" .turnout.XXXXXXXX)
exec 8<> "$secret"
rm -f "$secret"
IFS= read -r line || fail "no password came on standard input"
printf '%s\n' "$line" >&8
export PGPASSFILE=/proc/self/fd/8
"""

DUMP = r"""
[ -z "$snapshot" ] || set -- --snapshot="$snapshot"
pg_dump -Fc -Z0 --no-password --lock-wait-timeout=60s "$@" < /dev/null | zstd -3 -q -T0
"""

# Workers write files of their own, so there must be a folder for them. It is removed at the end, a signal's too; one
# that SIGKILL or a power cut left is nobody's any more when its lock is free, and goes with the next dump or restore.
SPOOL = r"""
umask 077
for left in "$folder"/.turnout-spool.*; do
    [ -d "$left" ] || continue
    if [ -O "$left" ] && { exec 7< "$left"; } 2> /dev/null && flock -n 7; then rm -rf "$left"; fi
done
spool=$(mktemp -d -p "$folder" .turnout-spool.XXXXXXXX)
trap 'rm -rf "$spool"' EXIT
exec 7< "$spool"
flock -n 7
"""

DUMP_PARALLEL = r"""
free=$(df -B1 --output=avail "$spool" | tail -n 1)
[ "$free" -ge "$size" ] || fail "$folder has $free bytes free, and a dump in parallel may take $size" \
    "free some space there, set TMPDIR to another folder, or database.jobs to 1"
[ -z "$snapshot" ] || set -- --snapshot="$snapshot"
pg_dump -Fd -Z0 -j "$jobs" -f "$spool/dump" --no-password --lock-wait-timeout=60s "$@" < /dev/null
tar -c -C "$spool" dump | zstd -3 -q -T0
"""

LOAD_PARALLEL = r"""
zstd -q -dc | tar -x -C "$spool" || fail "the dump did not arrive whole, or $folder is full"
pg_restore --no-password --exit-on-error -j "$jobs" -d "$name" "$spool/dump" < /dev/null
"""

LOAD = r"""
spool=$(mktemp -p "$folder" .turnout.XXXXXXXX)
exec 9<> "$spool"
rm -f "$spool"
zstd -q -dc >&9 || fail "the dump did not arrive whole, or $folder is full"
[ "$(stat -Lc %s /proc/self/fd/9)" -gt 0 ] || fail "the dump is empty"
pg_restore --no-password --exit-on-error -j "$jobs" -d "$name" /proc/self/fd/9 < /dev/null
"""


def pgpass(settings: DatabaseSettings, password: SecretStr) -> bytes:
    """The line that both scripts read first on standard input. Raises BadInput for a password with a line break."""
    secret = password.get_secret_value()
    if "\n" in secret or "\0" in secret:
        raise BadInput("database.password: the value has a line break or NUL in it", "give that role another password")
    words = ("*", "*", "*", settings.user, secret)
    return ":".join(word.replace("\\", "\\\\").replace(":", "\\:") for word in words).encode() + b"\n"


def dump(
    settings: DatabaseSettings, name: str, server: int, password: SecretStr, snapshot: str = "", size: int = 0
) -> Script:
    """Write a compressed dump to standard output; status 0 alone says that it is whole.

    `server` is the server's major version; `snapshot` is one that another session has exported and holds. With more
    than one of `settings.jobs` it is a tar of pg_dump's directory format, through a folder on the host's disk, which
    must have `size` bytes free; else the custom format, which is on no disk.
    """
    text = bind(
        CLIENT + (DUMP if settings.jobs == 1 else SPOOL + DUMP_PARALLEL),
        tools=("pg_dump", "zstd"),
        jobs=settings.jobs,
        size=size,
        host=settings.host,
        port=settings.port,
        user=settings.user,
        name=name,
        server=server,
        snapshot=snapshot,
    )
    return Script(text, timeout=LIMIT, stdin=pgpass(settings, password))


def load(settings: DatabaseSettings, name: str, server: int, password: SecretStr, directory: bool = False) -> Script:
    """Restore what comes on standard input after the `pgpass` line: the output of `dump`, into an empty database.

    `directory` says which of its formats it is. Two jobs are the least: pg_restore then builds indexes beside each
    other, and needs a file for that, which has no name and is gone with the last process.
    """
    text = bind(
        CLIENT + (SPOOL + LOAD_PARALLEL if directory else LOAD),
        tools=("pg_restore", "zstd"),
        host=settings.host,
        port=settings.port,
        user=settings.user,
        name=name,
        server=server,
        jobs=max(2, settings.jobs),
    )
    return Script(text, timeout=LIMIT, mutates=True, stdin=pgpass(settings, password))
