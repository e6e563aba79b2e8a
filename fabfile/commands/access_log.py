"""The access log of the site, read from where the last look ended: what each slot answered, and how fast."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.observed import SLOTS, Slot
from fabfile.model.script import Script
from fabfile.model.traffic import Position, Reading, Tally

LIMIT = 256 << 20
"""Bytes that one look reads at most, more than a million lines; of a longer stretch it reads the newest."""

# A log is opened before it is asked for its inode, and then read through what was opened: its name may move meanwhile.
OPEN = r"""
export LC_ALL=C
slice() { dd if="/dev/fd/$1" bs=256K iflag=skip_bytes,count_bytes skip="$2" count="$3" status=none; }
ends_line() { [ "$2" = 0 ] || [ "$(slice "$1" $(($2 - 1)) 1 | wc -l)" = 1 ]; }
# Sets fd, inode and size; false when nothing of that name is there.
open_log() {
    if ! { exec {fd}< "$1"; } 2>/dev/null; then
        local closed=$1 directory
        directory=$(dirname "$1")
        if [ ! -e "$1" ]; then
            # What lies in a directory that may not be entered looks as if it were not there.
            if [ ! -d "$directory" ] || [ -x "$directory" ]; then return 1; fi
            closed=$directory
        fi
        fail "$closed cannot be read by $(id -un)" "as root: usermod -aG $(stat -c %G "$closed") $(id -un)"
    fi
    read -r inode size <<< "$(stat -L -c '%i %s' "/dev/fd/$fd")"
}
# Sets end: where the last whole line after $2 ends; what follows is still being written.
find_end() {
    end=$size
    [ "$end" -gt "$2" ] || return 0
    ! ends_line "$1" "$end" || return 0
    local window=$((end - $2)) rest
    [ "$window" -le 1048576 ] || window=1048576
    rest=$(slice "$1" $((end - window)) "$window" | tail -n 1 | wc -c)
    if [ "$rest" -lt "$window" ]; then end=$((end - rest)); else end=$2; fi
}
"""

MARK = r"""
if open_log "$log"; then
    find_end "$fd" 0
    echo "position $inode $end"
else
    echo "position 0 0"
fi
"""

TALLY = r"""
note() { echo "note $*"; }
fd='' inode=0 size=0
fds=() starts=() ends=() total=0 position="$since_inode $since_offset"
# Take what is open, from $1 on, to the stretches that are read.
take() {
    local from=$1
    if [ "$from" -gt "$size" ] || ! ends_line "$fd" "$from"; then
        note "$log was cut and written anew; what it held before that is not counted"
        from=0
    fi
    find_end "$fd" "$from"
    fds+=("$fd") starts+=("$from") ends+=("$end")
    total=$((total + end - from))
    position="$inode $end"
}
# Rotated files that can be read, the oldest first.
rotated() {
    local file
    for file in "$log"[.-]*; do
        case "$file" in *.gz | *.xz | *.bz2 | *.zst) ;; *) stat -c '%.9Y %i %n' "$file" 2>/dev/null || true ;; esac
    done | sort -n
}
take_rotated() {
    local wanted file found=no
    while read -r _ wanted file; do
        if [ "$wanted" = "$since_inode" ]; then found=yes; elif [ "$found" = no ]; then continue; fi
        if ! open_log "$file" || [ "$inode" != "$wanted" ]; then
            note "$log was rotated again while it was read; some of its lines are not counted"
        elif [ "$inode" = "$since_inode" ]; then
            take "$since_offset"
        else
            take 0
        fi
    done <<< "$(rotated)"
    [ "$found" = yes ] ||
        note "$log was rotated, and what it was then is compressed or removed; what was left of it is not counted"
}
present=no
! open_log "$log" || present=yes
if [ "$present" = yes ] && [ "$since_inode" = 0 ]; then
    take 0
elif [ "$present" = yes ] && [ "$inode" = "$since_inode" ]; then
    take "$since_offset"
elif [ "$since_inode" != 0 ]; then
    now=$fd now_inode=$inode now_size=$size
    take_rotated
    fd=$now inode=$now_inode size=$now_size
    # As long as the new file is empty, nginx has not opened it yet and still writes to the old one.
    if [ "$present" = yes ] && { [ "$size" -gt 0 ] || [ "${#fds[@]}" = 0 ]; }; then
        take 0
    elif [ "${#fds[@]}" = 0 ]; then
        position="0 0"
    fi
fi
cut=0
excess=$((total - limit))
if [ "$excess" -gt 0 ]; then
    note "only the newest $limit bytes of $log were read; $excess bytes before them are not counted"
    for i in "${!fds[@]}"; do
        length=$((ends[i] - starts[i]))
        if [ "$excess" -lt "$length" ]; then
            # From the byte before, so that a first line that is whole follows a line end, too.
            [ "$excess" = 0 ] || { cut=1; starts[i]=$((starts[i] + excess - 1)); }
            break
        fi
        excess=$((excess - length))
        starts[i]=${ends[i]}
    done
fi
for i in "${!fds[@]}"; do
    [ "${ends[i]}" = "${starts[i]}" ] || slice "${fds[i]}" "${starts[i]}" $((ends[i] - starts[i]))
done | health=$health awk -v cut="$cut" "$aggregate"
echo "position $position"
echo complete
"""

# Quotes split a line into key and value; what a client or the application may write comes last, and in it each quote
# has a backslash, so that no value of theirs can look like a key.
AGGREGATE = r"""
function latency(text,    ms, unit) {
    if (text !~ /^[0-9]/) return ""
    ms = int(text * 1000 + 0.5)
    for (unit = 1; ms >= 1000; unit *= 10) ms = int(ms / 10)
    return ms * unit
}
function told(slot, requests, errors, times,    ms) {
    printf "slot %s %d %d", slot, requests, errors
    for (ms in times) printf " %d:%d", ms, times[ms]
    printf "\n"
}
BEGIN {
    FS = "\""
    health = "\"path\":\"" ENVIRON["health"] "\""
    if (cut) getline
}
{
    lines++
    if ($4 != "slot" || $8 != "status" || $10 != "upstream_status" || $14 != "upstream_seconds") { strange++; next }
    if ($9 == ":101," || $9 == ":499," || $12 == "") next
    if (index($0, "\"type\":\"text/event-stream") || index($0, health)) next
    # The first of several attempts is what a number is read from; one without a status failed as the answer did.
    status = $12 + 0
    if (!status) status = substr($9, 2) + 0
    failed = status >= 500
    ms = latency($16)
    if ($6 == "blue") { blue++; blue_errors += failed; if (ms != "") blue_ms[ms]++ }
    else if ($6 == "green") { green++; green_errors += failed; if (ms != "") green_ms[ms]++ }
    else strange++
}
END {
    told("blue", blue, blue_errors, blue_ms)
    told("green", green, green_errors, green_ms)
    printf "lines %d\n", lines
    if (strange) printf "note %d lines are not in the form that this release writes, and are not counted\n", strange
}
"""


def mark(log: str) -> Script:
    """Where the log ends now; `parse_mark` reads the answer. A log that is not there yet is at Position(0, 0)."""
    return Script(bind(MARK, log=log), timeout=30, library=OPEN)


def parse_mark(stdout: str) -> Position:
    """What `mark` printed. Raises ValueError when the answer is cut."""
    kind, *words = stdout.split()
    if kind != "position":
        raise ValueError("the answer names no position")
    return _position(words)


def tally(log: str, since: Position, health_path: str, limit: int = LIMIT) -> Script:
    """Count what came to `log` after `since`, through rotations, in whole lines; at most the newest `limit` bytes.

    A request counts for the slot that got it first: a status of 500 or more, or none, is an error; the latency is the
    slot's own, in milliseconds, from a second on cut to three digits. Left out are upgrades (101), requests that the
    client gave up (499), event streams, the health path, and what nginx answered without asking a slot.
    """
    text = bind(
        TALLY,
        log=log,
        since_inode=since.inode,
        since_offset=since.offset,
        health=health_path.partition("?")[0],
        limit=limit,
        aggregate=AGGREGATE,
    )
    return Script(text, timeout=60, library=OPEN)


def parse(stdout: str) -> Reading:
    """What `tally` printed. Raises ValueError when the answer is cut or not in that form."""
    *lines, last = stdout.splitlines() or [""]
    if last != "complete":
        raise ValueError("the answer is incomplete")
    answers: dict[str, list[str]] = {}
    tallies: dict[Slot, Tally] = {}
    notes = []
    for line in lines:
        kind, first, *rest = line.split()
        if kind == "note":
            notes.append(line.removeprefix("note "))
        elif kind == "slot":
            tallies[_slot(first)] = _tally(rest)
        else:
            answers[kind] = [first, *rest]
    if set(answers) != {"position", "lines"} or set(tallies) != set(SLOTS):
        raise ValueError("the answer is not about both slots, the position and the lines")
    return Reading(_position(answers["position"]), tallies, int(answers["lines"][0]), tuple(notes))


def _slot(word: str) -> Slot:
    for slot in SLOTS:
        if slot == word:
            return slot
    raise ValueError(f"{word} is no slot")


def _position(words: list[str]) -> Position:
    inode, offset = words
    return Position(int(inode), int(offset))


def _tally(values: list[str]) -> Tally:
    requests, errors, *times = values
    pairs = (time.partition(":") for time in times)
    return Tally(int(requests), int(errors), {int(ms): int(count) for ms, _, count in pairs})
