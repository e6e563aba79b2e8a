"""Releases on a host: received, unpacked beside, verified, put into a slot by rename, and forgotten again."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from fabfile.commands.shell import bind
from fabfile.config.schema import ReleaseSettings
from fabfile.model.observed import Slot
from fabfile.model.paths import Paths
from fabfile.model.script import Script

RECEIVE = r"""
mkdir -p "$releases"
cd "$releases"
archive=$id.tar.zst
if [ -e "$archive" ] && [ "$(sha256sum < "$archive" | cut -d' ' -f1)" = "$digest" ]; then exit 0; fi
rm -f .incoming-*
trap 'rm -f ".incoming-$run"' EXIT
cat > ".incoming-$run"
found=$(sha256sum < ".incoming-$run" | cut -d' ' -f1)
[ "$found" = "$digest" ] || fail "the archive arrived damaged: SHA-256 $found instead of $digest"
sync ".incoming-$run"
mv ".incoming-$run" "$archive"
sync .
"""

FORGET = r"""
rm -f "$releases/.incoming-$run" "$releases/$id.tar.zst" "$releases/$id.json"
"""

# A kept archive may be another one of the same content, built by other tools: what describes it stays.
UNPACK = r"""
umask 022
new=$slots/.$slot.new
mkdir -p "$slots"
rm -rf "$new"
mkdir "$new"
tar -x -p --no-same-owner -C "$new"
described=$(sha256sum < "$archive" | cut -d' ' -f1)
if grep -qsF "\"digest\": \"$described\"" "${archive%.tar.zst}.json"; then
    rm "$new/.turnout/manifest"
else
    mv "$new/.turnout/manifest" "${archive%.tar.zst}.json"
fi
zstd -q -dc "$archive" | tar -x -m --no-same-owner --no-same-permissions -C "$new"
cd "$new"
sha256sum --quiet --strict -c .turnout/checksums || fail "the unpacked release differs from its manifest"
for path in "${assets[@]}"; do
    [ -d "$path" ] || continue
    mkdir -p "$bridge/$path"
    differing=$(diff -rq "$path" "$bridge/$path" | sed -n 's/^Files \(.*\) and .* differ$/\1/p' || true)
    [ -z "$differing" ] ||
        fail "an asset's content changed but its name did not; release.assets is for hashed names" "$differing"
    cp -r -l -n "$path/." "$bridge/$path/"
    rm -rf "${path:?}"
    ln -s "$bridge/$path" "$path"
done
for path in "${linked[@]}"; do
    mkdir -p "$shared/$path" "$(dirname "$path")"
    rm -rf "${path:?}"
    ln -s "$shared/$path" "$path"
done
sync -f .
"""

DISCARD = r"""
rm -rf "$slots/.$slot.new"
"""

# A kept tree from an unfinished run is the one that was good; what lies in the slot then is the unfinished one.
PLACE = r"""
cd "$slots"
if [ ! -e ".$slot.new" ] && [ "$(cat "$slot/.turnout/run" 2>/dev/null)" = "$run" ]; then exit 0; fi
if [ -e ".$slot.kept" ]; then
    rm -rf "$slot"
elif [ -e "$slot" ]; then
    mv "$slot" ".$slot.kept"
fi
mv ".$slot.new" "$slot"
sync .
"""

UNPLACE = r"""
cd "$slots"
if [ "$(cat "$slot/.turnout/run" 2>/dev/null)" = "$run" ]; then rm -rf "$slot"; fi
if [ -e ".$slot.kept" ] && [ ! -e "$slot" ]; then mv ".$slot.kept" "$slot"; fi
sync .
"""

MIGRATE = r"""
cd "$directory"
env -i HOME="$HOME" USER="$(id -un)" LANG=C.UTF-8 PATH="$(dirname "$node"):/usr/local/bin:/usr/bin:/bin" \
    ENV_FILE="$directory/.turnout/env" "${variables[@]}" "${command[@]}" < /dev/null ||
    fail "the migration failed: ${command[*]}"
"""

# Written once, however often the end of a run is repeated. What was served and is left by a rollback is bad.
RECORD = r"""
if [ -n "$slot" ]; then
    : > "$slots/$slot/.turnout/proven"
    sync "$slots/$slot/.turnout"
fi
grep -qF "\"run\":\"$run\"" "$state/history.jsonl" 2> /dev/null || printf '%s\n' "$entry" >> "$state/history.jsonl"
mkdir -p "$state/bad"
rm -f "$state/bad/$release"
[ -z "$left" ] || printf '%s\n' "$why" > "$state/bad/$left"
sync "$state/history.jsonl" "$state/bad"
"""

BAD = r"""
mkdir -p "$state/bad"
printf '%s\n' "$why" > "$state/bad/$release"
sync "$state/bad"
"""

VERDICT = r"""
printf '%s\n' "$verdict" >> "$state/verdicts.jsonl"
sync "$state/verdicts.jsonl"
if [ "$(stat -c %s "$state/verdicts.jsonl")" -gt 1000000 ]; then
    tail -n 1000 "$state/verdicts.jsonl" > "$state/verdicts.new"
    mv "$state/verdicts.new" "$state/verdicts.jsonl"
fi
"""

# Stands from the first step of a run to its end, so that any machine can finish or undo what another one began.
BEGIN = r"""
cat > "$state/run.json.new"
sync "$state/run.json.new"
mv "$state/run.json.new" "$state/run.json"
sync "$state"
"""

END = r"""
rm -f "$state/run.json" "$state/run.json.new"
sync "$state"
"""

TIDY = r"""
rm -rf "$slots/.blue.kept" "$slots/.green.kept"
if cd "$bridge" 2>/dev/null; then
    find . -type f -mtime +30 -printf '%P\n' | { grep -vxFf <(cut -c67- "$slots"/*/.turnout/checksums) || true; } |
        while IFS= read -r asset; do rm -f "$asset"; done
fi
find "$state/bad" -type f -mtime +90 -delete 2> /dev/null || true
cd "$releases" 2>/dev/null || exit 0
kept=$(sed -n 's/^release=//p' "$slots"/*/.turnout/slot 2>/dev/null || true)
{ ls -1t -- *.tar.zst 2>/dev/null || true; } | tail -n "+$((keep + 1))" | while read -r archive; do
    case " "$kept" " in *"${archive%.tar.zst}"*) ;; *) rm -f "$archive" "${archive%.tar.zst}.json" ;; esac
done
"""


def receive(paths: Paths, run: str, release: str, digest: str, archive: Path) -> Script:
    """Store the archive that comes on standard input under its id, once its SHA-256 is right; a present one is kept."""
    text = bind(RECEIVE, releases=paths.releases, run=run, id=release, digest=digest)
    return Script(text, timeout=3600, mutates=True, stdin=archive)


def forget(paths: Paths, run: str, release: str) -> Script:
    """Remove an archive that this run brought."""
    return Script(bind(FORGET, releases=paths.releases, run=run, id=release), timeout=60, mutates=True)


def unpack(paths: Paths, slot: Slot, release: str, settings: ReleaseSettings, control: bytes) -> Script:
    """Unpack beside the slot and verify every file; `control` is the archive made by `control_archive`.

    Shared directories become links to what outlives a release, and assets links to those of all releases together: a
    page from one release may ask the other for its files, before and after a switch.
    """
    text = bind(
        UNPACK,
        slots=f"{paths.root}/slots",
        slot=slot,
        archive=f"{paths.releases}/{release}.tar.zst",
        shared=paths.shared,
        linked=settings.shared,
        assets=settings.assets,
        bridge=paths.assets,
    )
    return Script(text, timeout=900, mutates=True, stdin=control)


def discard(paths: Paths, slot: Slot) -> Script:
    """Remove what `unpack` made."""
    return Script(bind(DISCARD, slots=f"{paths.root}/slots", slot=slot), timeout=300, mutates=True)


def place(paths: Paths, slot: Slot, run: str) -> Script:
    """Rename the unpacked tree into the slot; the former idle tree is kept beside until the run has succeeded."""
    return Script(bind(PLACE, slots=f"{paths.root}/slots", slot=slot, run=run), timeout=300, mutates=True)


def unplace(paths: Paths, slot: Slot, run: str) -> Script:
    """Give the former idle tree back."""
    return Script(bind(UNPLACE, slots=f"{paths.root}/slots", slot=slot, run=run), timeout=300, mutates=True)


def migrate(
    paths: Paths, slot: Slot, command: tuple[str, ...], variables: Mapping[str, str], node: str, timeout: float
) -> Script:
    """The application's own migration command, in the slot's directory and with its environment."""
    text = bind(
        MIGRATE,
        directory=paths.slot(slot),
        command=command,
        variables=tuple(f"{name}={value}" for name, value in variables.items()),
        node=node,
    )
    return Script(text, timeout=timeout, mutates=True)


def record(paths: Paths, slot: Slot | None, run: str, entry: str, release: str, left: str, why: str) -> Script:
    """Mark the slot as proven and write the history line; `release` is good, and `left` (if any) is bad, and why."""
    values = {"slots": f"{paths.root}/slots", "slot": slot or "", "state": paths.state, "run": run, "entry": entry}
    text = bind(RECORD, release=release, left=left, why=why, **values)
    return Script(text, timeout=60, mutates=True)


def mark_bad(paths: Paths, release: str, why: str) -> Script:
    """Remember that a release failed here, so that no rollback goes to it."""
    return Script(bind(BAD, state=paths.state, release=release, why=why), timeout=30, mutates=True)


def keep_verdict(paths: Paths, verdict: str) -> Script:
    """Keep a verdict (one line of JSON), of a gate or of what let a run in; the oldest go when there are very many."""
    return Script(bind(VERDICT, state=paths.state, verdict=verdict), timeout=30, mutates=True)


def begin(paths: Paths, record: bytes) -> Script:
    """Keep the record of a run until `end`."""
    return Script(bind(BEGIN, state=paths.state), timeout=30, mutates=True, stdin=record)


def end(paths: Paths) -> Script:
    """The run is over: finished, or undone."""
    return Script(bind(END, state=paths.state), timeout=30, mutates=True)


def tidy(paths: Paths, keep: int) -> Script:
    """Drop what no run needs any more: former trees, archives beyond `keep` that no slot holds, old unused assets."""
    slots = f"{paths.root}/slots"
    text = bind(TIDY, slots=slots, releases=paths.releases, bridge=paths.assets, state=paths.state, keep=keep)
    return Script(text, timeout=300, mutates=True)


def control_archive(files: Mapping[str, tuple[int, bytes]]) -> bytes:
    """A tar of `.turnout/<name>` with (mode, content) each: what a slot needs beside the release, secrets among it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo(".turnout")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name, (mode, content) in sorted(files.items()):
            member = tarfile.TarInfo(f".turnout/{name}")
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
