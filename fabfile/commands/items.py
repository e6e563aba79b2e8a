"""How a script tells several things apart: each on a line of its own, a name and the base64 of its text."""

from __future__ import annotations

import base64

ITEMS = r"""
export PATH="$PATH:/usr/local/bin:/usr/sbin:/sbin"
item() { printf '%s ' "$1"; base64 -w0; printf '\n'; }
find_tool() {
    type -P "$1" && return
    ls -1d "$HOME"/.nvm/versions/node/*/bin/"$1" /opt/node*/bin/"$1" 2>/dev/null | sort -V | tail -n 1
}
"""


def parse_items(stdout: str) -> dict[str, str]:
    """The texts by name. Raises ValueError unless the script came to its end, which is the item `complete`."""
    lines = (line.split(" ", 1) for line in stdout.splitlines() if " " in line)
    items = {name: base64.b64decode(text).decode(errors="replace") for name, text in lines}
    if "complete" not in items:
        raise ValueError("the answer is incomplete")
    return items


def parse_pairs(text: str) -> dict[str, str]:
    """What follows each name in lines of `name=value`."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
