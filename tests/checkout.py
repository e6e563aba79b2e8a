"""The product as it stands in a user's checkout."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy_product(folder: Path) -> None:
    """Copy it, what Python compiled of it included: the first command would compile all of it anew, seconds each time.

    Left out is what Python is about to rename, which may be gone when its turn comes.
    """
    for name in ("fabfile", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("node_modules", "*.pyc.*"))
    for name in ("tasks.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
