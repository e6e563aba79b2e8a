"""pgBackRest as the user postgres: its files, its repository, backups, and a copy of the server at another moment."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from fabfile.commands.cluster import AS_POSTGRES
from fabfile.commands.shell import bind
from fabfile.model.cluster import Base, Cluster
from fabfile.model.script import Script

LOOK_LIMIT = 120.0
LIMIT = 24 * 3600.0
"""Seconds: for a look at the repository, and for a backup or a restore."""
NUMBER = "turnout"
"""The annotation in which a backup carries our number."""

# Nothing that runs as another user can be ended from here by a signal: it ends with us, as its input does.
BACKREST = r"""
command -v pgbackrest > /dev/null || fail "pgbackrest is not installed here" "apt-get install pgbackrest"
settings=(--config-path="$folder" --stanza="$stanza" --log-level-console=off --log-level-stderr=error)
guarded() {
    exec 5>&1
    coproc GUARDED { sudo -n -u postgres bash -c "$guard" turnout "$@" >&5; }
    wait "$!"
}
"""
GUARD = r"""
cd /
exec 3<&0
"$@" < /dev/null &
child=$!
{ read -r _ <&3; kill "$child"; } &
watch=$!
wait "$child"
status=$?
kill "$watch"
exit "$status"
"""

STAND = r"""
command -v pgbackrest > /dev/null || fail "pgbackrest is not installed here" "apt-get install pgbackrest"
for path in "${paths[@]}"; do
    if as_postgres test -e "$path"; then as_postgres base64 -w 0 "$path"; else printf -- -; fi
    echo
done
if ! as_postgres test -e "$secret"; then echo absent
elif sudo -n -u postgres cmp -s - "$secret"; then echo same
else echo other; fi
"""

INSTALL = r"""
as_postgres install -d -m 0700 "${path%/*}"
sudo -n -u postgres bash -c "$write" turnout "$path"
"""
# pgBackRest reads what ends with .conf: the new file has another name until it is whole.
WRITE = r"""
set -euo pipefail
umask 077
new=$(mktemp "$1.XXXXXXXX")
trap 'rm -f "$new"' EXIT
cat > "$new"
sync "$new"
mv -f "$new" "$1"
sync "${1%/*}"
"""
REMOVE = r"""
as_postgres rm -f "$path"
"""

CREATE = r"""
guarded pgbackrest "${settings[@]}" stanza-create
"""
CHECK = r"""
sql -p "$port" -c "SELECT pg_current_xact_id()" > /dev/null
guarded pgbackrest "${settings[@]}" check
"""
BACKUP = r"""
guarded pgbackrest "${settings[@]}" --type="$kind" --annotation="$annotation" backup
"""
INFO = r"""
as_postgres pgbackrest "${settings[@]}" --output=json info
"""

RESTORE = r"""
as_postgres test ! -e "$beside" || fail "$beside is there already" "inv backup.pitr-drop --copy=${beside##*restore-}"
[ "$(as_postgres stat -c %d "$live")" = "$(as_postgres stat -c %d "${live%/*}")" ] || fail "$live is a file system \
of its own, and a copy beside it could not take its place by a rename" "let it be a directory of ${live%/*}"
free=$(df --output=avail -B1 "${live%/*}" | tail -n 1)
[ "$free" -gt "$needed" ] || fail "${live%/*} has $((free >> 20)) MiB free; a copy of the server needs \
$((needed >> 20)) MiB" "make room on that disk"
as_postgres mkdir -m 0700 "$beside"
guarded pgbackrest "${settings[@]}" --pg1-path="$beside" "${target[@]}" restore
"""


@dataclass(frozen=True)
class Stand:
    """The files of `stand` as they are on the host (None: absent), and whether the secret one is absent or another."""

    files: tuple[bytes | None, ...]
    secret: Literal["absent", "same", "other"]


def folder(cluster: Cluster) -> str:
    """Where pgBackRest's files for this server are: beside its configuration, where postgres may write."""
    return f"{cluster.folder}/pgbackrest"


def archive_command(cluster: Cluster, stanza: str) -> str:
    """What PostgreSQL runs for each segment of its WAL; the server's own `%p` is the segment."""
    return f"pgbackrest --config-path={shlex.quote(folder(cluster))} --stanza={shlex.quote(stanza)} archive-push %p"


def stand(paths: tuple[str, ...], secret: str, wanted: bytes) -> Script:
    """Print for `parse_stand` what these files hold, and whether the secret one holds what is `wanted`."""
    return Script(bind(AS_POSTGRES + STAND, paths=paths, secret=secret), LOOK_LIMIT, stdin=wanted)


def parse_stand(text: str) -> Stand:
    """What `stand` printed. Raises ValueError for any other text."""
    *encoded, secret = text.splitlines()
    if secret not in ("absent", "same", "other"):
        raise ValueError(f"{secret!r} says nothing about a file")
    return Stand(tuple(None if line == "-" else base64.b64decode(line) for line in encoded), secret)  # type: ignore[arg-type]


def install(path: str, content: bytes) -> Script:
    """Write one file whole or not at all, for the user postgres alone."""
    return Script(bind(AS_POSTGRES + INSTALL, path=path, write=WRITE), LOOK_LIMIT, mutates=True, stdin=content)


def remove(path: str) -> Script:
    """Remove one file; an absent one is fine."""
    return Script(bind(AS_POSTGRES + REMOVE, path=path), LOOK_LIMIT, mutates=True)


def create(cluster: Cluster, stanza: str) -> Script:
    """Prepare the repository for this server; one that is prepared stays as it is."""
    return _script(CREATE, cluster, stanza, LOOK_LIMIT, mutates=True)


def check(cluster: Cluster, stanza: str) -> Script:
    """Have everything that was committed until now archived, and fail unless it is."""
    return _script(CHECK, cluster, stanza, LOOK_LIMIT, mutates=True, port=cluster.port)


def backup(cluster: Cluster, stanza: str, kind: str, number: int) -> Script:
    """Take a physical backup that carries our number; `kind` is full, diff or incr."""
    annotation = f"{NUMBER}={number}"
    return _script(BACKUP, cluster, stanza, LIMIT, mutates=True, kind=kind, annotation=annotation)


def info(cluster: Cluster, stanza: str) -> Script:
    """Print what the repository holds, for `parse_info`."""
    return _script(INFO, cluster, stanza, LOOK_LIMIT)


def parse_info(text: str) -> tuple[Base, ...]:
    """The physical backups of pgBackRest's JSON, oldest first. Raises ValueError or KeyError for any other text."""
    return tuple(_base(entry) for stanza in json.loads(text) for entry in stanza.get("backup", ()))


def restore(cluster: Cluster, stanza: str, beside: str, base: Base, at: datetime | None) -> Script:
    """Fill the directory `beside` from a backup, to be replayed up to the moment `at` along the server's own timeline
    when the copy is started; without `at` only as far as the backup itself reaches."""
    target = [f"--set={base.label}", "--target-action=promote"]
    if at is None:
        target.append("--type=immediate")
    else:
        target += ["--type=time", f"--target={at.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f+00')}"]
        # A timeline that is older than the repository has no history file there, which a number would ask for.
        timeline = "current" if base.timeline == cluster.timeline else cluster.timeline
        target.append(f"--target-timeline={timeline}")
    needed = base.size + (1 << 30 if base.size > 1 << 30 else 1 << 26)  # and the WAL that it replays
    values = {"live": cluster.data_directory, "beside": beside, "needed": needed, "target": target}
    return _script(RESTORE, cluster, stanza, LIMIT, mutates=True, **values)


def _script(body: str, cluster: Cluster, stanza: str, limit: float, mutates: bool = False, **values: Any) -> Script:
    text = bind(AS_POSTGRES + BACKREST + body, folder=folder(cluster), stanza=stanza, guard=GUARD, **values)
    return Script(text, limit, mutates)


def _base(entry: Mapping[str, Any]) -> Base:
    number = (entry.get("annotation") or {}).get(NUMBER, "")
    return Base(
        label=entry["label"],
        kind=entry["type"],
        number=int(number) if number.isdecimal() else None,
        sound=not entry["error"],
        started_at=datetime.fromtimestamp(entry["timestamp"]["start"], UTC),
        stopped_at=datetime.fromtimestamp(entry["timestamp"]["stop"], UTC),
        start_lsn=entry["lsn"]["start"],
        stop_lsn=entry["lsn"]["stop"],
        timeline=int(entry["archive"]["start"][:8], 16),
        size=entry["info"]["size"],
        stored=entry["info"]["repository"]["delta"],
    )
