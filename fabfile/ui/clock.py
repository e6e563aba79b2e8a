"""Moments as people read them: by the clock of the machine on which a command is typed, with its zone."""

from __future__ import annotations

from datetime import datetime


def local(moment: datetime) -> str:
    """`Tue 24 Nov 2026 09:00 CET`."""
    return f"{moment.astimezone():%a %d %b %Y %H:%M %Z}"
