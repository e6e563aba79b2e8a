"""A PostgreSQL server as a whole, on its own host: looked at, told to archive, and restarted."""

from __future__ import annotations

import json
import re
from datetime import datetime

from fabfile.commands.shell import bind
from fabfile.model.cluster import Archiver, Cluster, Place, lsn
from fabfile.model.script import Script

LOOK_LIMIT = 60.0
RESTART_LIMIT = 600.0
"""Seconds: for a look, and for a server to stop (it writes a checkpoint) and to start."""
PATIENCE = 300
"""Seconds that a server may take to stop or to answer before the script gives up."""

# sudo may run its command on a terminal of its own and then reads what it can get: hence /dev/null.
AS_POSTGRES = r"""
cd /
as_postgres() { sudo -n -u postgres -- "$@" < /dev/null; }
sudo -n -u postgres true < /dev/null 2> /dev/null || fail "$(id -un) may not act as the user postgres here" \
    "needed in /etc/sudoers.d: $(id -un) ALL=(postgres) NOPASSWD: ALL"
sql() { as_postgres psql -X -q -A -t -v ON_ERROR_STOP=1 -d postgres "$@"; }
"""

CLUSTER = """
SELECT json_build_object(
    'version', current_setting('server_version_num')::int / 10000,
    'data_directory', current_setting('data_directory'),
    'config_file', current_setting('config_file'),
    'port', current_setting('port')::int,
    'timeline', ('x' || timeline)::bit(32)::int,
    'history', pg_read_file('pg_wal/' || timeline || '.history', 0, 1000000, true),
    'databases', (SELECT json_agg(datname ORDER BY datname) FROM pg_database
        WHERE NOT datistemplate AND datname <> 'postgres'),
    'size', (SELECT sum(pg_database_size(oid)) FROM pg_database),
    'tablespaces', (SELECT count(*) FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')),
    'archive_timeout', (SELECT setting::int FROM pg_settings WHERE name = 'archive_timeout'),
    'now', now(),
    'archive_mode', current_setting('archive_mode'),
    'archive_command', (SELECT setting FROM pg_settings WHERE name = 'archive_command'),
    'waiting', ready.number,
    'seconds_behind', ready.age,
    'failing', coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),
    'last_failed', coalesce(to_char(last_failed_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), ''))
FROM (SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline) t, pg_stat_archiver,
    (SELECT count(*) AS number, coalesce(extract(epoch FROM now() - min(modification)), 0) AS age
        FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready') ready
"""

LOOK = r"""
[ "$(sql -p "$port" -c "SELECT pg_is_in_recovery()")" = f ] || fail "PostgreSQL at port $port is a standby" \
    "name the primary's host in database.via"
sql -p "$port" -c "$query"
"""

LOCATE = r"""
pg_lsclusters -h | while read -r version name found _ _ directory _; do
    if [ "$found" = "$port" ]; then printf '%s\n' "$version" "$name" "$directory"; fi
done
"""

# Archiving begins at the next start where archive_mode was off. A value is a psql variable, quoted by psql itself.
ALTER = r"""
printf '%s\n' "$statements" | sudo -n -u postgres psql -X -q -v ON_ERROR_STOP=1 -p "$port" -d postgres \
    -v archive_command="$archive_command" -v archive_timeout="$archive_timeout" -f -
"""
STATEMENTS = """
ALTER SYSTEM SET archive_mode = 'on';
ALTER SYSTEM SET archive_timeout = :'archive_timeout';
ALTER SYSTEM SET archive_command = :'archive_command';
SELECT pg_reload_conf() \\g /dev/null
"""

SERVICE = r"""
for verb in start stop restart; do
    sudo -n -l systemctl "$verb" "$unit" > /dev/null 2>&1 < /dev/null || fail "$(id -un) may not $verb $unit here" \
        "needed in /etc/sudoers.d: $(id -un) ALL=(root) NOPASSWD: $(command -v systemctl) $verb $unit"
done
service() { sudo -n systemctl "$1" "$unit" < /dev/null || fail "systemctl $1 $unit failed" "see: journalctl"; }
answers() {
    local end=$((SECONDS + patience))
    until as_postgres psql -X -q -A -t -p "$1" -d postgres -c "SELECT 1" > /dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || fail "PostgreSQL at port $1 does not answer after $patience s" "see: journalctl"
        sleep 0.1
    done
}
"""

RESTART = r"""
sql -p "$port" -c CHECKPOINT
began=$EPOCHREALTIME
service restart
answers "$port"
echo "$began $EPOCHREALTIME"
"""


def look(port: int) -> Script:
    """Print what `parse` reads; refuses a standby."""
    return Script(bind(AS_POSTGRES + LOOK, port=port, query=CLUSTER), LOOK_LIMIT)


def locate(port: int) -> Script:
    """Print where the cluster with this port is, for `parse_place`, whether it runs or not."""
    return Script(bind(LOCATE, port=port), LOOK_LIMIT)


def parse_place(text: str, port: int) -> Place:
    """What `locate` printed. Raises ValueError where it found no such cluster, or several."""
    lines = text.splitlines()
    if len(lines) != 3:
        raise ValueError(f"there are {len(lines) // 3} clusters with port {port}, not one (pg_lsclusters)")
    return Place(int(lines[0]), lines[1], port, lines[2])


def parse(text: str) -> Cluster:
    """The server of `look`'s output. Raises ValueError or KeyError for any other text."""
    found = json.loads(text)
    archiver = Archiver(
        found["archive_mode"],
        found["archive_command"],
        found["waiting"],
        float(found["seconds_behind"]),
        found["failing"],
        found["last_failed"],
    )
    return Cluster(
        found["version"],
        found["data_directory"],
        found["config_file"],
        found["port"],
        found["timeline"],
        _history(found["history"] or ""),
        tuple(found["databases"] or ()),
        int(found["size"]),
        found["tablespaces"],
        found["archive_timeout"],
        datetime.fromisoformat(found["now"]),
        archiver,
    )


def may_serve(place: Place) -> Script:
    """Fail with the line that sudoers lacks, unless we may start, stop and restart this server."""
    return Script(bind(AS_POSTGRES + SERVICE, unit=place.unit, patience=PATIENCE), LOOK_LIMIT)


def set_archiving(port: int, command: str, timeout: float) -> Script:
    """Have PostgreSQL archive its WAL with this command, at least every `timeout` seconds in which there was any."""
    values = {"archive_command": command, "archive_timeout": f"{timeout:.0f}s"}
    text = bind(AS_POSTGRES + ALTER, port=port, statements=STATEMENTS, **values)
    return Script(text, LOOK_LIMIT, mutates=True)


def restart(place: Place) -> Script:
    """Restart the server; prints when it went and when it answered again, for `seconds_away`."""
    text = bind(AS_POSTGRES + SERVICE + RESTART, port=place.port, unit=place.unit, patience=PATIENCE)
    return Script(text, RESTART_LIMIT, mutates=True)


def seconds_away(text: str) -> float:
    """How long the server was away, from what `restart` and `exchange` print. Raises ValueError for any other text."""
    began, ended = text.split()
    return float(ended) - float(began)


def _history(text: str) -> dict[int, int]:
    lines = (re.match(r"(\d+)\t(\S+)", line) for line in text.splitlines())
    return {int(line[1]): lsn(line[2]) for line in lines if line}
