"""PM2 on a host: started in a clean environment, one call at a time, each bounded, never trusted on its exit code."""

from __future__ import annotations

import json

from fabfile.commands.shell import bind
from fabfile.model.observed import Process, Slot
from fabfile.model.paths import Paths
from fabfile.model.script import Script

# A daemon that is started here keeps its directory, so it must not be a slot's, which is renamed and removed.
# A pm2 call while `pm2 resurrect` still boots starts a second daemon and hangs; what it starts must not inherit locks
# or our environment, which PM2 would write to its dump.
PM2 = r"""
export PM2_HOME="${PM2_HOME:-$HOME/.pm2}"
until_booted() {
    if command -v systemctl >/dev/null && [ "$(systemctl is-system-running 2>/dev/null)" = starting ]; then
        timeout 90 systemctl is-system-running --wait >/dev/null 2>&1 || true
    fi
}
pm2() {
    until_booted
    mkdir -p -m 700 "$PM2_HOME"
    flock -o -w 90 "$HOME/.turnout-pm2.lock" timeout --foreground -k 5 "${limit:-60}" \
        env -i HOME="$HOME" USER="$(id -un)" LANG=C.UTF-8 PM2_HOME="$PM2_HOME" \
        PATH="$(dirname "$node"):/usr/local/bin:/usr/bin:/bin" PM2_DISCRETE_MODE=true \
        PM2_DISABLE_VERSION_CHECK=true "$node" "$pm2_js" -s "$@" < /dev/null
}
# The daemon is asked as PM2's own command asks it, which takes half a second to load and starts one where none listens.
# (pm2.pid does not tell: systemd removes it when its unit has failed, though another daemon runs by then.)
pm2_list() {
    local left=3
    until_booted
    while [ "$left" -gt 0 ]; do
        timeout -k 5 20 "$node" -e '
            const fs = require("fs"), path = require("path"), [js, socket] = process.argv.slice(1);
            const root = path.dirname(path.dirname(fs.realpathSync(js)));
            const own = fs.existsSync(root + "/modules/pm2-axon");
            const load = name => require(own ? root + "/modules/" + name : require.resolve(name, { paths: [root] }));
            const request = load("pm2-axon").socket("req"), client = new (load("pm2-axon-rpc").Client)(request);
            const end = list => console.log(JSON.stringify(list)) || process.exit(0);
            const nobody = () => end([]), lost = () => process.exit(1);
            client.sock.once("reconnect attempt", nobody);
            client.sock.once("connect", () => {
                client.sock.removeListener("reconnect attempt", nobody);
                client.sock.once("reconnect attempt", lost);
                client.call("getMonitorData", {}, (error, list) => {
                    if (error) throw error;
                    end(list.map(p => [p.name, p.pid || 0, p.pm2_env.status, p.pm2_env.restart_time]));
                });
            });
            request.connect(socket);' "$pm2_js" "$PM2_HOME/rpc.sock" < /dev/null && return
        left=$((left - 1))
        sleep 0.5
    done
    fail "pm2 gives no list of its processes"
}
# What outlived a PM2 daemon that was killed still holds its slot's port; what runs elsewhere is never ended here.
end_orphan() {
    local pid=$(ss -Hltnp "sport = :$1" | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | head -n 1) left=100
    case "$(readlink "/proc/${pid:-none}/cwd" || true)" in
        "$slots/$slot" | "$slots/$slot (deleted)" | "$slots/.$slot."*) ;;
        *) return 0 ;;
    esac
    kill -INT "$pid" 2> /dev/null || true
    while kill -0 "$pid" 2> /dev/null && [ "$left" -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
    kill -KILL "$pid" 2> /dev/null || true
}
# A daemon that was started anew after a killed one knows nothing of the slot that has users; systemd may have ended it.
pm2_keep() {
    local name directory listed
    listed=$(pm2_list) || exit 1
    for name in "$@"; do
        case "$listed" in *"[\"$name\","*) continue ;; esac
        directory=$(realpath "$slots/${name##*-}")
        [ -z "$(find /proc -maxdepth 2 -name cwd -lname "$directory" 2> /dev/null)" ] || return 1
        pm2 start "$directory/.turnout/ecosystem.json" > /dev/null || fail "$name is down, and pm2 cannot start it"
    done
}
# PM2 empties its dump before it writes it: without space, the list that a reboot needs would be lost. What runs, but
# unknown to this daemon, stands in the list that was saved before.
pm2_save() {
    if ! pm2_keep "$@"; then return 0; fi
    [ "$(df -B1 --output=avail "$PM2_HOME" | tail -n 1)" -gt 4194304 ] ||
        fail "no space left for pm2 save in $PM2_HOME; the saved list was left alone"
    pm2 save --force > /dev/null || fail "pm2 save failed, so a reboot would not bring the right slot back"
    chmod 600 "$PM2_HOME/dump.pm2"
    sync "$PM2_HOME/dump.pm2" "$PM2_HOME"
    saved=$("$node" -e 'const l = JSON.parse(require("fs").readFileSync(process.argv[1]));
        console.log(l.map(p => p.name).sort().join(" "))' "$PM2_HOME/dump.pm2")
    for name in "$@"; do
        case " $saved " in *" $name "*) ;; *) fail "pm2 save left $name out of its dump ($saved)" ;; esac
    done
}
"""

START = r"""
if [ "$(cat "$directory/.turnout/started" 2> /dev/null)" = "$run" ]; then
    listed=$(pm2_list)
    if grep -qE "\[\"$name\",[0-9]+,\"online\"" <<< "$listed"; then exit 0; fi
fi
pm2 delete "$name" > /dev/null 2>&1 || true
end_orphan "$port"
taken=$(ss -Hltnp "sport = :$port")
[ -z "$taken" ] || fail "port $port is taken by another program, so $name cannot start" "$taken"
mkdir -p "$logs"
for log in "$logs/$slot.out.log" "$logs/$slot.err.log"; do
    [ ! -e "$log" ] || mv -f "$log" "$log.1"
done
cd /
pm2 start "$directory/.turnout/ecosystem.json" > /dev/null || fail "pm2 start failed for $name" \
    "$(tail -n 20 "$PM2_HOME/pm2.log" 2>/dev/null)"
echo "$run" > "$directory/.turnout/started"
sync -f "$directory"
"""

# No list is no word of a process that is down: what may have users is not started anew then.
ONLINE = r"""
listed=$(pm2_list)
if grep -qE "\[\"$name\",[0-9]+,\"online\"" <<< "$listed"; then exit 0; fi
"""

SAVE = r"""
pm2_save "$name" "${keep[@]}"
"""

STOP = r"""
case "$(pm2_list)" in *"[\"$name\","*) pm2 delete "$name" > /dev/null ;; esac
end_orphan "$port"
pm2_save "${keep[@]}"
"""


def parse_list(text: str) -> tuple[Process, ...]:
    """The processes in what `pm2_list` printed."""
    return tuple(Process(name, pid, status, restarts) for name, pid, status, restarts in json.loads(text or "[]"))


def _script(body: str, timeout: float, node: str, pm2: str, **values: str | int | tuple[str, ...]) -> Script:
    return Script(bind(body, node=node, pm2_js=pm2, **values), timeout, mutates=True, library=PM2)


def start(
    paths: Paths, slot: Slot, port: int, keep: tuple[str, ...], run: str, stop_timeout: float, node: str, pm2: str
) -> Script:
    """Start the slot afresh (delete and start: PM2 ignores a changed directory); a reboot brings back all that runs.

    What this very run started already, and is still online, is left alone. The processes `keep` are started too, should
    they be down.
    """
    values = {"name": paths.process(slot), "slot": slot, "slots": f"{paths.root}/slots", "logs": paths.logs}
    values["directory"] = paths.slot(slot)
    limit = round(60 + stop_timeout)
    return _script(START + SAVE, 150 + stop_timeout, node, pm2, port=port, keep=keep, run=run, limit=limit, **values)


def start_unless_online(paths: Paths, slot: Slot, port: int, stop_timeout: float, node: str, pm2: str) -> Script:
    """As `start`, but a process that runs is left alone."""
    script = start(paths, slot, port, (), "", stop_timeout, node, pm2)
    check = _script(ONLINE, 60, node, pm2, name=paths.process(slot))
    return Script(check.text + script.text, script.timeout + check.timeout, mutates=True, library=PM2)


def stop(
    paths: Paths, slot: Slot, port: int, keep: tuple[str, ...], stop_timeout: float, node: str, pm2: str
) -> Script:
    """Stop the slot gracefully (seconds) and save the list, with the processes `keep`: started, should they be down."""
    values = {"name": paths.process(slot), "slot": slot, "slots": f"{paths.root}/slots"}
    limit = round(60 + stop_timeout)
    return _script(STOP, 120 + stop_timeout, node, pm2, port=port, keep=keep, limit=limit, **values)
