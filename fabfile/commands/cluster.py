"""A PostgreSQL server as a whole, on its own host: looked at, restarted, run beside, and exchanged by its directory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
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
service() {
    sudo -n systemctl "$1" "$unit" < /dev/null || fail "systemctl $1 $unit failed or is not allowed" \
        "needed in /etc/sudoers.d: $(id -un) ALL=(root) NOPASSWD: $(command -v systemctl) $1 $unit"
}
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

# The copy has its data directory and its port to itself and shares the configuration. It archives nothing: what
# it writes waits until it takes the live server's place, so that a copy that is dropped leaves no trace in the archive.
START_BESIDE = r"""
beside_port=$port
taken() { as_postgres test -e "/var/run/postgresql/.s.PGSQL.$1" || (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }
while taken "$beside_port"; do
    beside_port=$((beside_port + 1))
    [ "$beside_port" -lt $((port + 50)) ] || fail "no port from $port to $beside_port is free" "ss -ltn"
done
options="-c config_file=$config -c data_directory=$beside -c external_pid_file= -c port=$beside_port \
-c listen_addresses=127.0.0.1 -c archive_command= -c shared_buffers=128MB -c max_logical_replication_workers=0"
told() {
    as_postgres tail -n 20 "$beside.log" >&2
    exit 1
}
as_postgres "$bin/pg_ctl" start -s -D "$beside" -w -t "$limit" -l "$beside.log" -o "$options" > /dev/null 2>&1 || {
    echo "the restored server did not start" >&2
    told
}
end=$((SECONDS + limit))
until [ "$(sql -p "$beside_port" -c "SELECT pg_is_in_recovery()" 2> /dev/null)" = f ]; do
    as_postgres "$bin/pg_ctl" status -D "$beside" > /dev/null || {
        echo "the restored server did not get to that moment" >&2
        told
    }
    [ "$SECONDS" -lt "$end" ] || fail "the restored server replays still after $limit s" "see $beside.log"
    sleep 0.2
done
printf '%s\n' "$statements" | sudo -n -u postgres psql -X -q -v ON_ERROR_STOP=1 -p "$beside_port" -d postgres -f -
as_postgres psql -X -q -A -t -v ON_ERROR_STOP=1 -p "$beside_port" -d "$database" -c "$query"
"""
RESTORED = """
SELECT json_build_object(
    'port', current_setting('port')::int,
    'reached', pg_last_xact_replay_timestamp(),
    'timeline', ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int,
    'tables', (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace NOT IN
        (SELECT oid FROM pg_namespace WHERE nspname IN ('pg_catalog', 'information_schema'))),
    'size', pg_database_size(current_database()))
"""
FORGET_RECOVERY = "".join(
    f"ALTER SYSTEM RESET {name};\n"
    for name in (
        "restore_command",
        "recovery_target",
        "recovery_target_time",
        "recovery_target_action",
        "recovery_target_timeline",
    )
)

DROP_BESIDE = r"""
if as_postgres test -e "$beside/postmaster.pid"; then
    as_postgres "$bin/pg_ctl" stop -s -D "$beside" -m immediate -w || true
fi
as_postgres rm -rf "$beside" "$beside.log"
"""

# Two renames within one directory: the name, port, unit and configuration of the live server stay as they are.
# `kept` exists from the first of them on, so whoever comes again knows how far it got.
EXCHANGE = r"""
stop_beside() {
    if as_postgres test -e "$beside/postmaster.pid"; then as_postgres "$bin/pg_ctl" stop -s -D "$beside" -m fast -w; fi
}
began=$EPOCHREALTIME
if ! as_postgres test -e "$kept"; then
    as_postgres test -d "$beside" || fail "$beside is not there" "inv backup.pitr-restore makes one"
    stop_beside
    sql -p "$port" -c CHECKPOINT || true
    began=$EPOCHREALTIME
    service stop
    as_postgres mv -T "$live" "$kept"
fi
if as_postgres test -d "$beside"; then
    stop_beside
    as_postgres mv -T "$beside" "$live"
    as_postgres sync "${live%/*}"
    as_postgres rm -f "$beside.log"
fi
service start
answers "$port"
echo "$began $EPOCHREALTIME"
"""
EXCHANGE_BACK = r"""
if as_postgres test -e "$kept"; then
    service stop
    if as_postgres test -d "$live"; then as_postgres mv -T "$live" "$beside"; fi
    as_postgres mv -T "$kept" "$live"
    as_postgres sync "${live%/*}"
fi
service start
answers "$port"
"""


@dataclass(frozen=True)
class Restored:
    """A copy that runs beside the live server: its port, the last transaction in it, and what the database holds."""

    port: int
    reached: datetime | None
    timeline: int
    tables: int
    size: int


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


def set_archiving(port: int, command: str, timeout: float) -> Script:
    """Have PostgreSQL archive its WAL with this command, at least every `timeout` seconds in which there was any."""
    values = {"archive_command": command, "archive_timeout": f"{timeout:.0f}s"}
    text = bind(AS_POSTGRES + ALTER, port=port, statements=STATEMENTS, **values)
    return Script(text, LOOK_LIMIT, mutates=True)


def restart(place: Place) -> Script:
    """Restart the server; prints when it went and when it answered again, for `seconds_away`."""
    text = bind(AS_POSTGRES + SERVICE + RESTART, port=place.port, unit=place.unit, patience=PATIENCE)
    return Script(text, RESTART_LIMIT, mutates=True)


def start_beside(cluster: Cluster, beside: str, database: str, limit: float) -> Script:
    """Start the restored copy, wait until it has replayed up to its target, and print what `parse_restored` reads."""
    text = bind(
        AS_POSTGRES + START_BESIDE,
        bin=_programs(cluster.version),
        port=cluster.port,
        config=cluster.config_file,
        beside=beside,
        database=database,
        limit=round(limit),
        statements=FORGET_RECOVERY,
        query=RESTORED,
    )
    return Script(text, 2 * limit + LOOK_LIMIT, mutates=True)


def parse_restored(text: str) -> Restored:
    """What `start_beside` printed. Raises ValueError or KeyError for any other text."""
    found = json.loads(text)
    reached = datetime.fromisoformat(found["reached"]) if found["reached"] else None
    return Restored(found["port"], reached, found["timeline"], found["tables"], found["size"])


def drop_beside(place: Place, beside: str) -> Script:
    """Stop and remove a restored copy, wherever it was interrupted."""
    text = bind(AS_POSTGRES + DROP_BESIDE, bin=_programs(place.version), beside=beside)
    return Script(text, RESTART_LIMIT, mutates=True)


def exchange(place: Place, beside: str, kept: str) -> Script:
    """Let the copy take the live server's place, whose directory is kept; prints times for `seconds_away`."""
    return _exchange(EXCHANGE, place, beside, kept)


def exchange_back(place: Place, beside: str, kept: str) -> Script:
    """Take `exchange` back, wherever it was interrupted; the copy is beside again, and stopped."""
    return _exchange(EXCHANGE_BACK, place, beside, kept)


def seconds_away(text: str) -> float:
    """How long the server was away, from what `restart` and `exchange` print. Raises ValueError for any other text."""
    began, ended = text.split()
    return float(ended) - float(began)


def _exchange(body: str, place: Place, beside: str, kept: str) -> Script:
    text = bind(
        AS_POSTGRES + SERVICE + body,
        bin=_programs(place.version),
        port=place.port,
        unit=place.unit,
        live=place.data_directory,
        beside=beside,
        kept=kept,
        patience=PATIENCE,
    )
    return Script(text, RESTART_LIMIT, mutates=True)


def _programs(version: int) -> str:
    return f"/usr/lib/postgresql/{version}/bin"


def _history(text: str) -> dict[int, int]:
    lines = (re.match(r"(\d+)\t(\S+)", line) for line in text.splitlines())
    return {int(line[1]): lsn(line[2]) for line in lines if line}
