"""Releases to tell a story with: copies of the example application in which a few lines differ."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fabfile.errors import TurnoutError

MADE_BY_BUILD = shutil.ignore_patterns("node_modules", "public", "uploads")


@dataclass(frozen=True)
class Edit:
    """In the file `path`, `old` becomes `new`."""

    path: str
    old: str
    new: str


# The page and a hashed asset differ, as in most releases.
SECOND = (
    Edit("package.json", '"version": "1.0.0"', '"version": "2.0.0"'),
    Edit("web/index.html", "<h1>Stock list</h1>", "<h1>Stock list, second edition</h1>"),
    Edit("web/app.css", "--accent: #2563eb", "--accent: #0d9488"),
)
# The application's tests have no database, so they see no healthy answer, and pass: only a host can find this out.
BROKEN = (
    *SECOND,
    Edit("package.json", '"version": "2.0.0"', '"version": "3.0.0"'),
    Edit("server.js", "report.status === 'ok' ? 200 : 503", "report.status === 'ok' ? 500 : 503"),
)


def make_variant(application: Path, folder: Path, edits: Sequence[Edit]) -> Path:
    """Copy `application`'s sources to the new `folder`, and edit them there.

    Raises:
        TurnoutError: the text that an edit replaces is not there.
    """
    shutil.copytree(application, folder, ignore=MADE_BY_BUILD)
    for edit in edits:
        path = folder / edit.path
        text = path.read_text()
        if edit.old not in text:
            raise TurnoutError(f"{application / edit.path}: does not hold {edit.old!r}, which the demo replaces")
        path.write_text(text.replace(edit.old, edit.new))
    return folder
