"""Files that nobody but their owner may open."""

from __future__ import annotations

import os
import shlex
import stat
from datetime import UTC, datetime
from pathlib import Path

from fabfile.errors import BadInput


def read_value(place: str, key: str, project: Path) -> tuple[str, datetime]:
    """As `read_private`, but without one trailing line break, and never empty."""
    text, changed = read_private(place, key, project)
    value = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not value:
        raise BadInput(f"{key}: the file {place} is empty", _hint(place))
    return value, changed


def read_private(place: str, key: str, project: Path) -> tuple[str, datetime]:
    """The text of a private file and when that was last changed; `key` is the dotted path that names the file.

    `~` is expanded, relative paths start at the project. Raises BadInput without a word of the text when it cannot be
    read or is open to other users.
    """
    try:
        data, changed = _read(project / Path(place).expanduser(), key, place)
        return data.decode(), changed
    except (OSError, RuntimeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or "no such home directory"
        raise BadInput(f"{key}: the file {place} cannot be read: {reason.lower()}", _hint(place)) from None
    except ValueError:
        raise BadInput(f"{key}: the file {place} is not UTF-8 text", _hint(place)) from None


def _read(path: Path, key: str, place: str) -> tuple[bytes, datetime]:
    # Judged on the open file, so that it cannot be exchanged in between; not blocking, so that a pipe cannot hang us.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise BadInput(f"{key}: {place} is not a regular file", f"let {key} name a file that holds only the value")
        if about.st_mode & 0o066:
            fact = f"{key}: the file {place} is open to other users (mode {stat.S_IMODE(about.st_mode):04o})"
            raise BadInput(fact, f"chmod 600 {shlex.quote(str(path))}")
        return file.read(), datetime.fromtimestamp(about.st_mtime, UTC)


def _hint(place: str) -> str:
    return f"write the value into {shlex.quote(place)}, then chmod 600 {shlex.quote(place)}"
