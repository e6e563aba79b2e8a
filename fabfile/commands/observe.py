"""One read-only look at a host, and the parser of what it prints."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from fabfile.commands.items import ITEMS, parse_items, parse_pairs
from fabfile.commands.pm2 import PM2, parse_list
from fabfile.commands.shell import bind
from fabfile.model.hook import AFTERMATH
from fabfile.model.observed import SLOTS, HistoryEntry, LastRun, Lease, Observed, Process, Slot, SlotState
from fabfile.model.paths import Paths
from fabfile.model.restore import Restore
from fabfile.model.script import Script
from fabfile.model.share import Share

TOOLS = ("curl", "flock", "nginx", "node", "pm2", "sha256sum", "ss", "sudo", "tar", "timeout", "zstd")

OBSERVE = r"""
date +%s | item clock
id -un | item user
for tool in "${tools[@]}"; do echo "$tool=$(find_tool "$tool" || true)"; done | item tools
(nginx -v 2>&1 || true) | item nginx_version
existing=$root
while [ ! -d "$existing" ]; do existing=$(dirname "$existing"); done
df -B1 --output=avail "$existing" | tail -n 1 | item free_bytes
df --output=iavail "$existing" | tail -n 1 | item free_inodes
[ ! -w "$existing" ] || echo "$existing" | item writable
[ ! -w "$nginx" ] || echo "$nginx" | item nginx_writable
for slot in blue green; do
    if [ -e "$root/slots/$slot/.turnout/slot" ]; then
        { cat "$root/slots/$slot/.turnout/slot"; [ ! -e "$root/slots/$slot/.turnout/proven" ] || echo proven=yes; } |
            item "slot_$slot"
    fi
done
[ ! -e "$site" ] || item site < "$site"
(readlink "$traffic" 2>/dev/null | sed 's,.*/,,' || true) | item share
(sed -n 's/^run=//p' "$root/.turnout/trial" 2>/dev/null || true) | item trial
(cat "$root/.turnout/run.json" 2>/dev/null || true) | item pending
(cd "$root/.turnout/bad" 2>/dev/null && grep -H '' -- * 2>/dev/null || true) | item bad
[ ! -r "/var/log/nginx/${log##*/}" ] || echo yes | item log_readable
[ ! -e "$maintenance" ] || echo yes | item maintenance
(curl -sf --max-time 3 "http://127.0.0.1:$status_port/generation" || true) | item generation
(ss -Hltnp || true) | item ports
for pid in $(ss -Hltnp | sed -n 's/.*pid=\([0-9]*\).*/\1/p' | sort -u); do
    case "$(readlink "/proc/$pid/cwd" || true)" in "$root/slots"/*) echo "$pid" ;; esac
done | item ours
(cd "$root/releases" 2>/dev/null && ls -1t | sed -n 's/\.tar\.zst$//p' || true) | item releases
if [ -s "$root/.turnout/lease" ]; then
    { cat "$root/.turnout/lease"; echo "age=$(( $(date +%s) - $(stat -c %Y "$root/.turnout/lease") ))"; } | item lease
fi
(tail -n 500 "$root/.turnout/journal.jsonl" 2>/dev/null || true) | item journal
(tail -n 50 "$root/.turnout/history.jsonl" 2>/dev/null || true) | item history
node=$(find_tool node || true)
pm2_js=$(find_tool pm2 || true)
[ -z "$node" ] || [ -z "$pm2_js" ] || pm2_list | item pm2
echo yes | item complete
"""


def observe(paths: Paths, status_port: int) -> Script:
    """Everything that a plan needs to know about a host, in one round trip."""
    text = bind(
        OBSERVE,
        tools=TOOLS,
        root=paths.root,
        nginx=paths.nginx,
        site=paths.site,
        traffic=paths.traffic,
        log=paths.access_log,
        maintenance=paths.maintenance,
        status_port=status_port,
    )
    return Script(text, timeout=180, library=ITEMS + PM2)


def parse(host: str, paths: Paths, stdout: str) -> Observed:
    """What `observe` printed, as a value. Raises ValueError when the answer is cut."""
    items = parse_items(stdout)
    processes = parse_list(items.get("pm2", ""))
    slots = {slot: _slot(items.get(f"slot_{slot}", ""), processes, paths.process(slot)) for slot in SLOTS}
    share = items["share"].strip()
    live = _live(Share.parse(share), slots) if "site" in items else None
    tools = {name: path for name, path in parse_pairs(items["tools"]).items() if path}
    return Observed(
        host=host,
        user=items["user"].strip(),
        clock=int(items["clock"]),
        tools=tools,
        nginx_version=_version(items["nginx_version"]),
        free_bytes=int(items["free_bytes"]),
        free_inodes=_number(items["free_inodes"]),
        slots=slots,
        live=live,
        maintenance="maintenance" in items,
        site=items.get("site", ""),
        generation=items.get("generation", "").strip(),
        ports=_ports(items["ports"], frozenset(items["ours"].split())),
        releases=tuple(items["releases"].split()),
        lease=_lease(parse_pairs(items.get("lease", ""))),
        last_run=_last_run(items["journal"]),
        history=tuple(_history(items["history"])),
        processes=processes,
        writable="writable" in items,
        nginx_writable="nginx_writable" in items,
        share=share,
        trial=items["trial"].strip(),
        pending=items["pending"],
        progress=_progress(items["journal"], items["pending"]),
        bad=dict(line.split(":", 1) for line in items["bad"].splitlines() if ":" in line),
        log_readable="log_readable" in items,
    )


def _live(share: Share | None, slots: Mapping[Slot, SlotState]) -> Slot:
    """What the record says; where it was lost, the one slot that runs, which nginx finds by itself."""
    if share:
        return share.live
    return "green" if slots["green"].online and not slots["blue"].online else "blue"


def _number(text: str) -> int:
    return int(text) if text.strip().isdigit() else -1


def _version(text: str) -> str:
    match = re.search(r"nginx/(\S+)", text)
    return match.group(1) if match else ""


def _slot(text: str, processes: tuple[Process, ...], name: str) -> SlotState:
    pairs = parse_pairs(text)
    process = next((p for p in processes if p.name == name), None)
    port = pairs.get("port", "")
    proven = pairs.get("proven") == "yes"
    return SlotState(pairs.get("release"), int(port) if port else None, pairs.get("configuration", ""), proven, process)


def _ports(text: str, ours: frozenset[str]) -> dict[int, str]:
    """Who listens where, but for what runs from one of our slots."""
    ports = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 4 and (port := fields[3].rpartition(":")[2]).isdigit():
            owner = re.search(r'\("([^"]+)",pid=(\d+)', line)
            if owner is None or owner.group(2) not in ours:
                ports[int(port)] = f"{owner.group(1)} (pid {owner.group(2)})" if owner else "another user's program"
    return ports


def _lease(pairs: Mapping[str, str]) -> Lease | None:
    if "run" not in pairs:
        return None
    remaining = int(pairs["ttl"]) - abs(int(pairs["age"]))
    return Lease(pairs["run"], pairs["holder"], pairs["reason"], int(pairs["token"]), remaining)


def _json_lines(text: str) -> list[dict[str, Any]]:
    entries = []
    for line in text.splitlines():
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # a line cut by a power failure says nothing
    return [entry for entry in entries if isinstance(entry, dict)]


def _last_run(text: str) -> LastRun | None:
    entries = _json_lines(text)
    # Hooks after a run neither end it nor leave it unfinished.
    last = next((e for e in reversed(entries) if e.get("step", "").partition(".")[0] not in AFTERMATH), None)
    if last is None:
        return None
    return LastRun(last.get("run", ""), last.get("verb", ""), last.get("step", ""), last.get("event", ""))


def _progress(text: str, pending: str) -> dict[str, str]:
    """The last event of each step of the run that has not ended."""
    found = re.match(r'{"run":"([^"]+)"', pending)
    run = found.group(1) if found else ""
    return {e.get("step", ""): e.get("event", "") for e in _json_lines(text) if e.get("run") == run}


def _history(text: str) -> list[HistoryEntry]:
    return [
        HistoryEntry(
            e.get("at", ""),
            e.get("verb", ""),
            e.get("release", ""),
            e.get("holder", ""),
            e.get("run", ""),
            e.get("previous"),
            _restore(e.get("restore")),
            e.get("hotfix", ""),
            tuple(e.get("approved_by", ())),
            str(e.get("promoted_from", "")),
        )
        for e in _json_lines(text)
    ]


def _restore(found: Any) -> Restore | None:
    if not isinstance(found, dict):
        return None
    return Restore(
        bool(found.get("database")),
        bool(found.get("files")),
        found.get("point"),
        str(found.get("undoes", "")),
        server=bool(found.get("server")),
        at=str(found.get("at", "")),
    )
