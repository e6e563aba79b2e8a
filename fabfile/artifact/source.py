"""What goes into a build: the files that git tracks, or every file of a folder that git does not know."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fabfile.errors import BadInput

GIT_TIMEOUT = 120.0
"""Seconds that one question to git may take."""
UNDATED = 315_532_800
"""1980-01-01 in Unix time, the earliest that a zip file can say: for sources without a commit."""


@dataclass(frozen=True)
class Source:
    """Paths relative to `folder`, and what git says about them (`commit` is None where it knows nothing).

    `dated` is when that was committed, in Unix time.
    """

    folder: Path
    paths: tuple[str, ...]
    commit: str | None = None
    dirty: bool = False
    dated: int = UNDATED


def find(folder: Path, exclude: Sequence[str], out: Path, say: Callable[[str], None]) -> Source:
    """The source in `folder`; `exclude` (names at any depth) and `out` are left out where git is not asked.

    Raises BadInput when there is nothing to build from.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise BadInput(f"{folder} is no directory", "set build.source to the application's directory")
    source = _tracked(folder, say) if _in_work_tree(folder) else _everything(folder, exclude, out.resolve())
    if not source.paths:
        raise BadInput(f"{folder} holds no file to build from", "add the application's files with `git add`")
    return source


def copy(source: Source, target: Path) -> None:
    """Copy the source's files into `target`, with modes 0644 and 0755 whatever the umask is."""
    for path in source.paths:
        original, made = source.folder / path, target / path
        made.parent.mkdir(parents=True, exist_ok=True)
        if original.is_symlink():
            made.symlink_to(original.readlink())
        elif original.is_file():
            shutil.copyfile(original, made)
            made.chmod(0o755 if original.stat().st_mode & 0o100 else 0o644)
        elif original.exists():
            raise BadInput(f"{original} is neither a file nor a symlink", "remove it, or check its submodule out")
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o755)


def _in_work_tree(folder: Path) -> bool:
    return any((parent / ".git").exists() for parent in (folder, *folder.parents))


def _tracked(folder: Path, say: Callable[[str], None]) -> Source:
    untracked = _names(_git(folder, "ls-files", "-z", "--others", "--exclude-standard", "--directory"))
    if untracked:
        more = f" and {len(untracked) - 3} more" if len(untracked) > 3 else ""
        say(f"not in the release, because git does not track it: {', '.join(untracked[:3])}{more}")
    paths = [
        path
        for path in _names(_git(folder, "ls-files", "-z", "--recurse-submodules"))
        if os.path.lexists(folder / path)  # a deleted file stays in the index until it is committed
    ]
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD", fails=True).decode().strip() or None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    dated = int(_git(folder, "show", "--no-patch", "--format=%ct", commit)) if commit else UNDATED
    return Source(folder, tuple(paths), commit, dirty=bool(changed), dated=dated)


def _everything(folder: Path, exclude: Sequence[str], out: Path) -> Source:
    def walk(below: Path) -> Iterator[str]:
        for entry in sorted(below.iterdir()):
            if entry.name in exclude or entry == out:
                continue
            if entry.is_dir() and not entry.is_symlink():
                yield from walk(entry)
            else:
                yield str(entry.relative_to(folder))

    return Source(folder, tuple(walk(folder)))


def _names(answer: bytes) -> list[str]:
    return [os.fsdecode(name) for name in answer.split(b"\0") if name]


def _git(folder: Path, *words: str, fails: bool = False) -> bytes:
    """Git's answer; `fails` accepts a refusal, as that of a repository without a commit."""
    try:
        # Without optional locks a build next to an open editor disturbs nobody's index.
        done = subprocess.run(
            ["git", "--no-optional-locks", "-C", str(folder), *words],
            capture_output=True,
            timeout=GIT_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BadInput(f"{folder} lies in a git work tree, but git is not installed here", "install git") from error
    except subprocess.TimeoutExpired as error:
        raise BadInput(f"git did not answer within {GIT_TIMEOUT:.0f} s in {folder}", "try git status there") from error
    if done.returncode and not fails:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise BadInput(f"git {words[0]} failed in {folder}", "run `git status` there", lines)
    return done.stdout
