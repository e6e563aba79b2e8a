"""A scratch slot on a host: a release tried out beside everything live, on a port of its own, and gone afterwards."""

from __future__ import annotations

from collections.abc import Mapping

from fabfile.commands.probe import NOW
from fabfile.commands.shell import bind
from fabfile.config.schema import HealthSettings, ProcessSettings, ReleaseSettings
from fabfile.model.paths import Paths
from fabfile.model.script import Script

LIMIT = 4 * 3600.0
"""Seconds that shared files or an archive may take to arrive."""
FORGOTTEN = 12 * 60
"""Minutes after which a scratch slot belongs to nobody any more: longer than all its parts may take together."""

# What a release has started may outlive it; by its directory it is known, whatever became of its parent.
CLEAR = r"""
clear_away() {
    cd /
    { find /proc/[0-9]*/cwd -maxdepth 0 '(' -lname "$1" -o -lname "$1[ /]*" ')' 2> /dev/null || true; } |
        cut -d/ -f3 | xargs -r kill -KILL 2> /dev/null || true
    rm -rf "$1"
}
make_scratch() {
    mkdir -p "${scratch%/*}"
    find "${scratch%/*}" -mindepth 1 -maxdepth 1 -type d -mmin "+$forgotten" |
        while IFS= read -r old; do clear_away "$old"; done
    mkdir -p -m 700 "$scratch"
}
"""

FILES = r"""
make_scratch
umask 022
rm -rf "$scratch/shared"
mkdir "$scratch/shared"
zstd -q -dc | tar -x -p --no-same-owner -C "$scratch/shared" || fail "the shared files did not arrive whole"
"""

RECEIVE = r"""
make_scratch
cat > "$scratch/release.tar.zst"
found=$(sha256sum < "$scratch/release.tar.zst" | cut -d' ' -f1)
[ "$found" = "$digest" ] || fail "the archive arrived damaged: SHA-256 $found instead of $digest"
"""

# The process is a child of this script and no word of PM2's: nothing brings it back, and it ends with the script.
TRY = r"""
make_scratch
umask 022
home=$scratch/release pid='' since=$(now)
finish() {
    local left=$((stop * 10))
    trap - EXIT
    if [ -n "$pid" ]; then
        kill -INT "$pid" 2> /dev/null || true
        while kill -0 "$pid" 2> /dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
    fi
    clear_away "$home"
    rm -f "$scratch/log"
    rmdir "$scratch" 2> /dev/null || true
}
phase() {
    local ended=$(now)
    printf '%s %s\n' "$1" "$((ended - since))"
    since=$ended
}
evidence() {
    printf 'last answer: %s\n' "${answer:-none}"
    tail -n 50 "$scratch/log" 2> /dev/null | sed 's/^/log: /'
}
healthy() {
    kill -0 "$pid" 2> /dev/null || fail "release $release does not stay up in a scratch slot" "$(evidence)"
    answer=$(curl -sS --max-time "$answer_within" -w ' %{http_code}' "http://127.0.0.1:$port$path" 2>&1 |
        tr -d '\t\r\n') || return 1
    case "$(printf %s "$answer" | tr -d ' ')" in *"\"release\":\"$release\""*200) return 0 ;; *) return 1 ;; esac
}
trap finish EXIT
rm -rf "$home"
mkdir "$home"
tar -x -p --no-same-owner -C "$home"
zstd -q -dc "$archive" | tar -x -m --no-same-owner --no-same-permissions -C "$home"
cd "$home"
sha256sum --quiet --strict -c .turnout/checksums || fail "the unpacked release differs from its manifest"
for path in "${linked[@]}"; do
    mkdir -p "$shared/$path" "$(dirname "$path")"
    rm -rf "${path:?}"
    ln -s "$shared/$path" "$path"
done
phase unpack
path=$health_path
until port=$((20000 + RANDOM % 10000)) && [ -z "$(ss -Hltn "sport = :$port")" ]; do :; done
env -i HOME="$HOME" USER="$(id -un)" LANG=C.UTF-8 PATH="$(dirname "$node"):/usr/local/bin:/usr/bin:/bin" \
    "${variables[@]}" PORT="$port" "$node" "$home/$entry" "${arguments[@]}" > "$scratch/log" 2>&1 < /dev/null &
pid=$!
deadline=$(($(now) + patience * 1000))
until healthy; do
    [ "$(now)" -lt "$deadline" ] ||
        fail "release $release is not healthy after $patience s in a scratch slot: $path does not answer 200" \
            "$(evidence)"
    sleep 0.2
done
phase healthy
calm=$(($(now) + stable))
while [ "$(now)" -lt "$calm" ]; do
    sleep 0.5
    healthy || fail "release $release was healthy in a scratch slot and then was not" "$(evidence)"
done
"""

DROP = r"""
clear_away "$scratch"
rmdir "${scratch%/*}" 2> /dev/null || true
"""


def load_files(paths: Paths, run: str) -> Script:
    """Unpack a compressed tar of shared files, which comes on standard input, into the scratch slot's own ones."""
    return _script(FILES, LIMIT, paths, run)


def receive(paths: Paths, run: str, digest: str) -> Script:
    """Take an archive that is not among the host's releases from standard input; refused unless it has `digest`."""
    return _script(RECEIVE, LIMIT, paths, run, digest=digest)


def try_release(
    paths: Paths,
    run: str,
    release: str,
    archive: str,
    shared: str,
    control: bytes,
    variables: Mapping[str, str],
    node: str,
    settings: ReleaseSettings,
    process: ProcessSettings,
    health: HealthSettings,
) -> Script:
    """Unpack the archive at this path, start it on a free loopback port, watch it get healthy, and remove it again.

    `control` holds `.turnout/checksums` and the environment file; shared directories are linked to those in `shared`.
    Prints `unpack` and `healthy` with their milliseconds. PM2, slots and nginx know nothing of it.
    """
    return _script(
        TRY,
        900 + health.timeout + health.stable + process.stop_timeout,
        paths,
        run,
        control,
        release=release,
        archive=archive,
        shared=shared,
        linked=settings.shared,
        variables=tuple(f"{name}={value}" for name, value in variables.items()),
        node=node,
        entry=process.script,
        arguments=process.arguments,
        stop=round(process.stop_timeout),
        health_path=health.path,
        answer_within=health.request_timeout,
        patience=max(1, round(health.timeout)),
        stable=round(health.stable * 1000),
    )


def drop(paths: Paths, run: str) -> Script:
    """Remove the scratch slot of a run with all that still runs in it; an absent one is fine."""
    return _script(DROP, 900, paths, run)


def parse(stdout: str) -> dict[str, float]:
    """The phases that `try_release` printed, in seconds."""
    lines = (line.split() for line in stdout.splitlines())
    return {name: int(milliseconds) / 1000 for name, milliseconds in lines}


def _script(
    body: str,
    timeout: float,
    paths: Paths,
    run: str,
    stdin: bytes = b"",
    **values: str | int | float | tuple[str, ...],
) -> Script:
    text = bind(body, scratch=paths.scratch(run), forgotten=FORGOTTEN, **values)
    return Script(text, timeout, mutates=True, stdin=stdin, library=NOW + CLEAR)
