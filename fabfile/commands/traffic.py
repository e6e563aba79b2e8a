"""Who gets which slot on a host: staged, switched on a word, on trial until confirmed, else given back."""

from __future__ import annotations

from dataclasses import dataclass

from fabfile.commands.shell import bind
from fabfile.model.paths import Paths
from fabfile.model.script import Script
from fabfile.model.share import CANARY, Share

READY, SWITCHED, GO = b"ready\n", b"switched\n", b"go\n"
"""What a host says once it is ready and once it has switched, and the word in between that it waits for."""

CALLED_OFF = 76
"""Exit status of a host that was ready when another one was not."""

# Everything that takes space or time is done while staging; the switch itself, and the way back, are one rename each.
SHARE = r"""
holds() { readlink "$traffic" 2> /dev/null | sed 's,.*/,,' || true; }
make_share() {
    local name=$1 file
    shift
    [ ! -d "$shares/$name" ] || return 0
    rm -rf "$shares/.$name"
    mkdir -p "$shares/.$name"
    for file in "$@"; do : > "$shares/.$name/$file"; done
    sync -f "$shares"
    mv -T "$shares/.$name" "$shares/$name"
    sync "$shares"
}
stage() { rm -f "$2"; ln -s "${shares##*/}/$1" "$2"; }
answer() {
    curl -s --max-time "$limit" -H "Host: $server_name" -H "Cookie: turnout=$1" "http://127.0.0.1:$listen$path" |
        tr -d ' \t\r\n' || true
}
answers() {
    local left=20
    while [ "$left" -gt 0 ]; do
        said=$(answer "$1")
        case "$said" in *"\"release\":\"$2\""*) return 0 ;; esac
        sleep 0.1
        left=$((left - 1))
    done
    fail "nginx was switched but does not answer from release $2" "$said"
}
"""

SWITCH = r"""
umask 022
make_share "$next" "${next_buckets[@]}"
make_share "$back" "${back_buckets[@]}"
stage "$next" "$traffic.next"
stage "$back" "$traffic.back"
sync "$nginx"
umask 027
on_trial() { [ "$(sed -n 's/^run=//p' "$state/trial" 2> /dev/null)" = "$run" ]; }
[ "$first" = yes ] || [ "$(holds)" != "$back" ] ||
    fail "this host took its traffic back, because the run was not heard of in time"
on_trial || arm
watch
echo ready
if [ "$(holds)" = "$next" ]; then
    echo switched
else
    IFS= read -r -t 90 go || go=
    if [ "$go" != go ]; then
        rm -f "$traffic.next"
        [ "$first" = no ] || rm -f "$state/trial"
        echo "not switched, because another host was not ready" >&2
        exit "$called_off"
    fi
    touch -c "$state/trial"
    on_trial || fail "not switched, because the other hosts took too long to be ready"
    mv -T "$traffic.next" "$traffic"
    echo switched
    sync "$nginx"
fi
rm -f "$traffic.next"
[ "$verify" = yes ] || exit 0
answers "$bucket" "$release"
"""

# Renaming `trial` decides between a confirmation and the way back: whoever does it first has won. Uptime, not the
# clock, tells how long nobody was heard of.
DEADMAN = r"""
set -u
cd "$state" || exit 1
uptime() { cut -d. -f1 /proc/uptime; }
back() {
    local share
    share=$(sed -n 's/^back=//p' reverting)
    until { [ -L "$traffic.back" ] || ln -s "${shares##*/}/$share" "$traffic.back"; } &&
        mv -T "$traffic.back" "$traffic"; do
        sleep 2
        [ -e reverting ] || exit 0
    done
    sync "$nginx"
    printf '{"at":"%s","run":"%s","verb":"dead man","step":"%s","event":"reverted","token":0}\n' \
        "$(date -u +%FT%TZ)" "$(sed -n 's/^run=//p' reverting)" "$(sed -n 's/^step=//p' reverting)" >> journal.jsonl
    sync journal.jsonl
    rm -f reverting
}
[ ! -e reverting ] || back
if [ "${1:-}" = boot ]; then
    if mv trial reverting 2> /dev/null; then back; fi
    exit 0
fi
heard='' since=0
while [ "$(sed -n 's/^run=//p' trial 2> /dev/null)" = "$1" ]; do
    sign=$(stat -c '%i %y' trial 2> /dev/null || echo gone)
    if [ "$sign" != "$heard" ]; then heard=$sign since=$(uptime); fi
    patience=$(sed -n 's/^patience=//p' trial 2> /dev/null)
    [ ! -e confirmed ] || patience=$lease
    if [ $(( $(uptime) - since )) -ge "${patience:-0}" ]; then
        if mv trial reverting 2> /dev/null; then back; fi
        exit 0
    fi
    sleep 0.5
done
"""

# The dead man's switch is a process of its own, and a line in the crontab for a host that loses power on trial.
ARM = r"""
arm() {
    umask 077
    rm -f "$state/confirmed" "$state/reverting"
    printf '%s\n' "$deadman" > "$state/deadman.new"
    mv "$state/deadman.new" "$state/deadman"
    printf '%s\n' "run=$run" "back=$back" "step=$step" "patience=$patience" > "$state/trial.new"
    sync "$state/trial.new" "$state/deadman"
    mv "$state/trial.new" "$state/trial"
    sync "$state"
    local line="@reboot bash $state/deadman boot" table
    table=$(crontab -l 2> /dev/null || true)
    if command -v crontab > /dev/null && ! grep -qxF "$line" <<< "$table"; then
        printf '%s\n' "${table:+$table$'\n'}$line" | crontab - || true
    fi
    umask 027
}
# One at a time: whoever finds another one waits for it, which ends soon when it watches a former run.
watch() { setsid flock -w 5 "$state/deadman.lock" bash "$state/deadman" "$run" < /dev/null > /dev/null 2>&1 & }
"""

BACK = r"""
rm -f "$traffic.next"
if [ "$(holds)" != "$back" ]; then
    if [ ! -d "$shares/$back" ]; then (umask 022; make_share "$back" "${back_buckets[@]}"); fi
    [ "$(readlink "$traffic.back" 2> /dev/null)" = "${shares##*/}/$back" ] || stage "$back" "$traffic.back"
    # The dead man's switch may have been quicker, with the same link.
    mv -T "$traffic.back" "$traffic" || [ "$(holds)" = "$back" ]
    sync "$nginx"
fi
rm -f "$traffic.back" "$state/trial" "$state/reverting" "$state/confirmed"
[ "$verify" = yes ] || exit 0
answers stable "$release"
"""

CONFIRM = r"""
cd "$state"
gone() { fail "this host took its traffic back, because the switch was not confirmed in time"; }
[ "$(sed -n 's/^run=//p' trial 2> /dev/null)" = "$run" ] || gone
if [ "$final" = yes ]; then
    mv trial kept 2> /dev/null || gone
    rm -f kept confirmed "$traffic.back"
    sync .
else
    : > confirmed
    touch -c trial
    [ -e trial ] || gone
fi
"""

ON_TRIAL = r"""
[ "$(sed -n 's/^run=//p' "$state/trial" 2> /dev/null)" = "$run" ] ||
    fail "this host took its traffic back, because the run was not heard of in time"
"""


@dataclass(frozen=True)
class Front:
    """How nginx is asked on its own host: port, server name, health path, and seconds for one answer."""

    listen: int
    server_name: str
    path: str
    limit: float

    @property
    def values(self) -> dict[str, str | int | float]:
        """As shell variables."""
        name = "localhost" if self.server_name == "_" else self.server_name.split()[0]
        return {"listen": self.listen, "server_name": name, "path": self.path, "limit": self.limit}


@dataclass(frozen=True)
class Trial:
    """Whose switch it is, whether it is the run's first, and how many seconds a host waits to be confirmed.

    `lease` is how long a confirmed switch that is still being watched may go without a sign of life.
    """

    run: str
    step: str
    first: bool
    patience: float
    lease: float


def switch(
    paths: Paths, wanted: Share, before: Share, release: str, front: Front, trial: Trial, verify: bool = True
) -> Script:
    """Divide clients as `wanted`, once the word comes on standard input; on trial, or else back to `before`.

    Prints READY and SWITCHED. `release` is what then has to answer through nginx (to a canary's testers, if there is
    one).
    """
    deadman = bind(DEADMAN, **_places(paths), lease=round(trial.lease))
    body = bind(
        ARM + SWITCH,
        **_places(paths),
        **front.values,
        deadman=deadman,
        called_off=CALLED_OFF,
        next=wanted.name,
        next_buckets=wanted.to_green,
        back=before.name,
        back_buckets=before.to_green,
        run=trial.run,
        step=trial.step,
        first="yes" if trial.first else "no",
        patience=max(1, round(trial.patience)),
        bucket=CANARY if wanted.percent else "stable",
        release=release,
        verify="yes" if verify else "no",
    )
    return Script(body, timeout=150, mutates=True, library=SHARE)


def back(paths: Paths, before: Share, release: str, front: Front, verify: bool = True) -> Script:
    """Divide clients as before, whatever a switch was stopped at; `release` is what has to answer then."""
    body = bind(
        BACK,
        **_places(paths),
        **front.values,
        back=before.name,
        back_buckets=before.to_green,
        release=release,
        verify="yes" if verify else "no",
    )
    return Script(body, timeout=60, mutates=True, library=SHARE)


def confirm(paths: Paths, run: str, final: bool) -> Script:
    """Say that the switch may stay: for good if `final`, else for as long as the run's lease is kept alive."""
    values = {"state": paths.state, "traffic": paths.traffic, "run": run, "final": "yes" if final else "no"}
    return Script(bind(CONFIRM, **values), timeout=30, mutates=True)


def on_trial(paths: Paths, run: str) -> Script:
    """Fail unless this run's switch still holds here."""
    return Script(bind(ON_TRIAL, state=paths.state, run=run), timeout=15)


def answering(paths: Paths, release: str, front: Front) -> Script:
    """See the release answer through nginx."""
    return Script(bind('answers stable "$release"\n', **front.values, release=release), timeout=60, library=SHARE)


def _places(paths: Paths) -> dict[str, str]:
    return {"traffic": paths.traffic, "shares": paths.shares, "nginx": paths.nginx, "state": paths.state}
