"""Copies of a PostgreSQL server: run beside the live one, listed, removed, or exchanged with it by their directory."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from fabfile.commands.cluster import AS_POSTGRES, LOOK_LIMIT, PATIENCE, RESTART_LIMIT, SERVICE
from fabfile.commands.shell import bind
from fabfile.model.cluster import RUN, Beside, Cluster, Place, Purpose
from fabfile.model.script import Script

LIST_LIMIT = 900.0
"""Seconds that adding up sizes may take."""

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

# A former server that is half removed must not be taken for one that an undo can bring back: it loses its name first.
DROP_KEPT = r"""
if as_postgres test -e "$kept"; then
    as_postgres mv -T "$kept" "$gone"
    as_postgres sync "${gone%/*}"
fi
as_postgres rm -rf "$gone"
"""

LIST = r"""
as_postgres bash -c "$listing" turnout "$live"
"""
LISTING = r"""
for folder in "$1".*; do
    [ ! -d "$folder" ] || printf '%s %s\n' "${folder#"$1".}" "$(du -sB1 -- "$folder" 2> /dev/null | cut -f1)"
done
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


def drop_kept(place: Place, run: str) -> Script:
    """Remove the former server that the exchange of a run kept, or what is left of it; an absent one is fine."""
    kept, gone = place.beside("before", run), place.beside("dropped", run)
    return Script(bind(AS_POSTGRES + DROP_KEPT, kept=kept, gone=gone), RESTART_LIMIT, mutates=True)


def list_beside(place: Place) -> Script:
    """Print what lies beside the live server's directory, for `parse_beside`."""
    return Script(bind(AS_POSTGRES + LIST, live=place.data_directory, listing=LISTING), LIST_LIMIT)


def parse_beside(text: str) -> tuple[Beside, ...]:
    """What `list_beside` printed, oldest run first; what no run of ours made is left out."""
    lines = (re.fullmatch(rf"(restore|before|verify|dropped)-({RUN}) (\d+)", line) for line in text.splitlines())
    found = [Beside(cast(Purpose, line[1]), line[2], int(line[3])) for line in lines if line]
    return tuple(sorted(found, key=lambda one: (one.run, one.purpose)))


def exchange(place: Place, beside: str, kept: str) -> Script:
    """Let the copy take the live server's place, whose directory is kept; prints times for `seconds_away`."""
    return _exchange(EXCHANGE, place, beside, kept)


def exchange_back(place: Place, beside: str, kept: str) -> Script:
    """Take `exchange` back, wherever it was interrupted; the copy is beside again, and stopped."""
    return _exchange(EXCHANGE_BACK, place, beside, kept)


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
