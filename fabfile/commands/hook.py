"""A team's command on a host, as a hook or a smoke test: with its own time limit, and the last lines of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.script import Script

# The watcher ends the whole group, as a time-out from outside would; whoever ignores SIGTERM is then killed by the
# `timeout` that everything runs under. The lines are kept from that, to be told. `read` sleeps without a process.
HOOK = r"""
cd "$directory"
ended=''
trap 'ended=yes' TERM
last_lines() { trap '' TERM; tail -c 16000 | tr -d '\0' | tail -n 40; }
(
    exec < /dev/null > /dev/null
    read -r -t "$limit" <> <(:) || true
    printf '%s did not end within %g s and was killed: %s\n' "$what" "$limit" "${command[*]}" >&2
    kill -TERM 0
) &
watcher=$!
status=0
output=$(
    env -i HOME="$HOME" USER="$(id -un)" LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin \
        "${variables[@]}" "${command[@]}" < /dev/null 2>&1 | last_lines
) || status=$?
[ -z "$ended" ] || fail "$output"
kill "$watcher" 2>/dev/null || true
[ "$status" = "$wanted" ] || fail "$what ended with status $status: ${command[*]}" "$output"
[ -z "$output" ] || printf '%s\n' "$output"
"""


def hook(paths: Paths, point: str, command: Sequence[str], variables: Mapping[str, str], timeout: float) -> Script:
    """Run a team's command in the application's directory, with these variables and next to no others."""
    return _script(paths, f"hook {point}", command, variables, timeout, 0)


def smoke_test(
    paths: Paths, name: str, command: Sequence[str], variables: Mapping[str, str], timeout: float, status: int
) -> Script:
    """The same for a command that has to end with this status."""
    return _script(paths, f"smoke test {name}", command, variables, timeout, status)


def _script(
    paths: Paths, what: str, command: Sequence[str], variables: Mapping[str, str], timeout: float, wanted: int
) -> Script:
    text = bind(
        HOOK,
        directory=paths.root,
        what=what,
        wanted=wanted,
        limit=timeout,
        variables=tuple(f"{name}={value}" for name, value in variables.items()),
        command=tuple(command),
    )
    return Script(text, timeout=timeout + 10, mutates=True)
