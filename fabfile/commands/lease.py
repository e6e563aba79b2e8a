"""The lease of a host: taken, kept alive, given back, and checked before every step that changes something."""

from __future__ import annotations

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.script import Script

DO, UNDO = ("start", "done"), ("undo", "undone")
"""What the journal says before and after a step that is done, or undone."""

LOST = 75
"""Exit status of a step whose token is no longer the host's current one."""

ACQUIRE = r"""
mkdir -p "$state" || fail "$state cannot be made" "as root: install -d -o $(id -un) /var/app"
chmod 700 "$state"
cd "$state"
exec 9>>lock
tell_if_held() {
    [ -s lease ] || return 0
    local age=$(( $(date +%s) - $(stat -c %Y lease) )) held limit
    held=$(sed -n 's/^run=//p' lease)
    limit=$(sed -n 's/^ttl=//p' lease)
    if [ "$held" != "$run" ] && [ "$held" != "$dead" ] && [ "${age#-}" -lt "$limit" ]; then
        echo held
        cat lease
        echo "remaining=$(( limit - age ))"
        exit 0
    fi
}
tell_if_held
end_step
flock -x -w 10 9 || fail "a step of another run is still working here" "see inv lock.status"
tell_if_held
if [ -e journal.jsonl ] && [ "$(stat -c %s journal.jsonl)" -gt 1000000 ]; then
    tail -n 2000 journal.jsonl > journal.new
    mv journal.new journal.jsonl
fi
token=$(( $(cat token 2>/dev/null || echo 0) + 1 ))
echo "$token" > token.new
printf '%s\n' "run=$run" "holder=$holder" "reason=$reason" "token=$token" "ttl=$ttl" \
    "process=$process" > lease.new
sync token.new lease.new
mv token.new token
mv lease.new lease
sync .
echo "taken $token"
"""

RENEW = r"""
cd "$state"
[ "$(cat token)" = "$token" ] || exit 75
touch -c lease
[ ! -e confirmed ] || touch -c trial
"""

RELEASE = r"""
cd "$state" 2>/dev/null || exit 0
exec 9>>lock
flock -x -w 30 9 || fail "a step is still working here"
[ "$(sed -n 's/^run=//p' lease 2>/dev/null)" != "$run" ] || rm -f lease
sync .
"""

BREAK = r"""
cd "$state" 2>/dev/null || exit 0
exec 9>>lock
end_step
flock -x -w 30 9 || fail "a step is still working here"
token=$(( $(cat token 2>/dev/null || echo 0) + 1 ))
echo "$token" > token.new
sync token.new
mv token.new token
rm -f lease
sync .
"""

# A step whose connection broke may still run: before it is taken back, or its lease is taken over, it is ended.
END_STEP = r"""
end_step() {
    local group=$(cat "$state/step" 2>/dev/null || true)
    [ -n "$group" ] && grep -qa turnout "/proc/$group/cmdline" 2>/dev/null || return 0
    kill -TERM -- "-$group" 2>/dev/null || true
    sleep 0.3
    kill -KILL -- "-$group" 2>/dev/null || true
}
"""

GUARD = r"""
cd "$state" || exit 75
exec 9>>lock
if [ "$(cat token)" != "$token" ] || [ ! -e lease ]; then
    echo "the lease was lost: another run works here now, so this step was not started" >&2
    exit 75
fi
[ "$begin" != undo ] || end_step
flock -x -w 45 9 || fail "another step is still working here"
[ "$(cat token)" = "$token" ] || exit 75
{ echo "$PPID" > step; } 2>/dev/null || true
# A line that was cut by a full disk or a loss of power must not take the next one with it.
journal() {
    [ -z "$(tail -c 1 "$state/journal.jsonl" 2> /dev/null)" ] || echo >> "$state/journal.jsonl" || return 1
    printf '{"at":"%s","run":"%s","verb":"%s","step":"%s","event":"%s","token":%s}\n' \
        "$(date -u +%FT%TZ)" "$run" "$verb" "$step" "$1" "$token" >> "$state/journal.jsonl" &&
        sync "$state/journal.jsonl"
}
# A time-out ends the step; this shell stays to write that down, and until what ignores SIGTERM has been killed.
trap : TERM
journal "$begin" || [ "$begin" = undo ] || fail "the journal cannot be written, so the step was not started"
cd /
set +e
(
set -e
exec 9>&-
"""

GUARD_END = r"""
)
status=$?
: > "$state/step"
if [ "$status" = 0 ]; then journal "$end"; else journal failed; fi
exit "$status"
"""


def acquire(paths: Paths, run: str, holder: str, reason: str, ttl: int, process: str = "", dead: str = "") -> Script:
    """Take the lease, or print who holds it. `ttl` is in seconds since the last heartbeat, by the host's clock.

    `process` identifies the holder's own, `dead` is a run known to be dead, from which the lease is taken at once.
    """
    values = {"run": run, "holder": holder, "reason": reason, "process": process, "dead": dead}
    text = bind(ACQUIRE, state=paths.state, ttl=ttl, **values)
    return Script(text, timeout=30, mutates=True, library=END_STEP)


def renew(paths: Paths, token: int) -> Script:
    """Show that the holder is alive, also to a switch on trial; writes no byte, so that it works on a full disk."""
    return Script(bind(RENEW, state=paths.state, token=token), timeout=15, mutates=True)


def release(paths: Paths, run: str) -> Script:
    """Give this run's lease back; one that somebody else holds by now is left alone."""
    return Script(bind(RELEASE, state=paths.state, run=run), timeout=45, mutates=True)


def break_lease(paths: Paths) -> Script:
    """Take the lease away from whoever holds it and end its running step; its next one is refused by its token."""
    return Script(bind(BREAK, state=paths.state), timeout=45, mutates=True, library=END_STEP)


def guarded(
    script: Script, paths: Paths, run: str, verb: str, step: str, token: int, events: tuple[str, str] = DO
) -> Script:
    """The script, run only under the current token, and journalled before it starts and after it ends."""
    begin, end = events
    guard = bind(GUARD, state=paths.state, run=run, verb=verb, step=step, token=token, begin=begin, end=end)
    text = f"{guard}{script.text}{GUARD_END.lstrip()}"
    library = END_STEP + script.library
    return Script(text, timeout=script.timeout + 60, mutates=True, stdin=script.stdin, library=library)


def parse_acquired(stdout: str) -> int | dict[str, str]:
    """The fencing token, or the lines of the lease that somebody else holds."""
    first, *rest = stdout.splitlines()
    if first.startswith("taken "):
        return int(first.removeprefix("taken "))
    return dict(line.split("=", 1) for line in rest if "=" in line)
