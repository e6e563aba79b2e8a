"""Is a slot healthy, and does anybody still use it: asked on the host itself, over loopback."""

from __future__ import annotations

from fabfile.commands.pm2 import PM2
from fabfile.commands.shell import bind
from fabfile.config.schema import HealthSettings
from fabfile.model.observed import Slot
from fabfile.model.paths import Paths
from fabfile.model.script import Script

# Milliseconds of uptime: the clock may be set meanwhile, and SECONDS follows it, in whole seconds.
NOW = r"""
now() { local up; read -r up _ < /proc/uptime; echo "$((10#${up/./} * 10))"; }
"""

# PM2 says `online` during a crash loop and exits 0 for anything: only the release's own answer, from one process that
# stays, counts.
PROVE = r"""
evidence() {
    printf 'last answer: %s\n' "${answer:-none}"
    tail -qn 50 "$logs/$slot.out.log" "$logs/$slot.err.log" 2>/dev/null | sed 's/^/log: /'
}
state() { pm2_list | "$node" -e '
    const p = JSON.parse(require("fs").readFileSync(0)).find(p => p[0] === process.argv[1]);
    console.log(p ? `${p[1]} ${p[2]} ${p[3]}` : "0 gone 0")' "$name"; }
healthy() {
    local url="http://$address:$port$path"
    answer=$(curl -sS --max-time "$answer_within" -w ' %{http_code}' "$url" 2>&1 | tr -d '\t\r\n') || return 1
    case "$(printf %s "$answer" | tr -d ' ')" in *"\"release\":\"$release\""*200) return 0 ;; *) return 1 ;; esac
}
check_process() {
    read -r pid status restarts <<< "$(state)"
    if [ "$status" != online ] && [ "$status" != launching ]; then
        fail "$name is $status: the release does not stay up" "$(evidence)"
    fi
    [ "$restarts" = "${expected:=$restarts}" ] ||
        fail "$name crashed and was restarted $restarts times: the release does not stay up" "$(evidence)"
}
deadline=$(($(now) + patience * 1000))
turn=0
until healthy; do
    [ "$(now)" -lt "$deadline" ] ||
        fail "$name is not healthy after $patience s: $path does not answer 200 with release $release" "$(evidence)"
    turn=$((turn + 1))
    [ $((turn % 5)) != 0 ] || check_process
    sleep 0.2
done
check_process
first=$pid
calm=$(($(now) + stable))
while [ "$(now)" -lt "$calm" ]; do
    sleep 0.5
    healthy || fail "$name was healthy and then was not" "$(evidence)"
done
check_process
[ "$pid" = "$first" ] || fail "$name was restarted while it was being watched" "$(evidence)"
"""

DRAIN = r"""
open() { ss -Htn state established "sport = :$port" | wc -l; }
deadline=$(($(now) + patience))
while [ "$(open)" -gt 0 ] && [ "$(now)" -lt "$deadline" ]; do sleep 0.2; done
open
"""


REACH = r"""
for server in "${servers[@]}"; do
    left=20
    until said=$(curl -sS --max-time "$limit" "http://$server$path" 2>&1 | tr -d ' \t\r\n') &&
        case "$said" in *"\"release\":\"$release\""*) true ;; *) false ;; esac; do
        left=$((left - 1))
        [ "$left" -gt 0 ] ||
            fail "release $release does not answer from $server; is its port open to this host?" "$said"
        sleep 0.2
    done
done
"""


LISTENS = r"""
timeout "$limit" bash -c 'exec 3<> "/dev/tcp/$0/$1"' "$address" "$port" 2> /dev/null ||
    fail "nothing takes connections at $address:$port"
"""


def listens(address: str, port: int, limit: float) -> Script:
    """Fail unless something takes a connection there within so many seconds."""
    return Script(bind(LISTENS, address=address, port=port, limit=limit), timeout=limit + 15)


def reach(servers: tuple[str, ...], path: str, release: str, limit: float) -> Script:
    """See the release answer from every one of these `address:port`s (`limit`: seconds for one answer)."""
    text = bind(REACH, servers=servers, path=path, release=release, limit=limit)
    return Script(text, timeout=60 + 20 * limit * len(servers))


def prove(
    paths: Paths,
    slot: Slot,
    address: str,
    port: int,
    release: str,
    health: HealthSettings,
    node: str,
    pm2: str,
    fresh: bool = True,
) -> Script:
    """Wait until the slot answers 200 with its release id, then watch it for a while.

    A `fresh` process must never have been restarted; one that has run before only must not be restarted now.
    """
    body = bind(
        PROVE,
        node=node,
        pm2_js=pm2,
        name=paths.process(slot),
        slot=slot,
        logs=paths.logs,
        address=address,
        port=port,
        release=release,
        path=health.path,
        answer_within=health.request_timeout,
        patience=max(1, round(health.timeout)),
        stable=round(health.stable * 1000) if fresh else 0,
        expected="0" if fresh else "",
    )
    return Script(body, timeout=health.timeout + health.stable + 60, library=NOW + PM2)


def drain(port: int, patience: float) -> Script:
    """Wait until nobody is connected to the port any more, at most `patience` seconds; prints how many still are."""
    return Script(bind(DRAIN, port=port, patience=round(patience * 1000)), timeout=patience + 30, library=NOW)
