"""pg_dump and pg_restore on the host nearest to the server; the password comes on standard input and is on no disk."""

from __future__ import annotations

from pydantic import SecretStr

from fabfile.commands.shell import bind
from fabfile.config.schema import DatabaseSettings
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


def dump(settings: DatabaseSettings, name: str, server: int, password: SecretStr, snapshot: str = "") -> Script:
    """Write a compressed dump to standard output; status 0 alone says that it is whole.

    `server` is the server's major version; `snapshot` is one that another session has exported and holds.
    """
    text = bind(
        CLIENT + DUMP,
        tools=("pg_dump", "zstd"),
        host=settings.host,
        port=settings.port,
        user=settings.user,
        name=name,
        server=server,
        snapshot=snapshot,
    )
    return Script(text, timeout=LIMIT, stdin=pgpass(settings, password))


def load(settings: DatabaseSettings, name: str, server: int, password: SecretStr, jobs: int = 2) -> Script:
    """Restore what comes on standard input after the `pgpass` line: the output of `dump`, into an empty database."""
    text = bind(
        CLIENT + LOAD,
        tools=("pg_restore", "zstd"),
        host=settings.host,
        port=settings.port,
        user=settings.user,
        name=name,
        server=server,
        jobs=jobs,
    )
    return Script(text, timeout=LIMIT, mutates=True, stdin=pgpass(settings, password))
