"""The host image: built once for each content of its inputs, then found again by that content's hash."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from fabfile.lab.engine import CACHE, Engine
from fabfile.lab.processes import run_long

INPUTS = Path(__file__).parent / "image"
CEPH = INPUTS / "ceph"
SUITE = "bookworm"
NO_MANUALS = tuple(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "doc", "locale", "info"))


def content_hash(folder: Path) -> str:
    """Twelve hex digits over every file's path, mode and bytes below `folder`."""
    digest = hashlib.sha256(SUITE.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_mode & 0o111}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def host_image(engine: Engine, say: Callable[[str], None]) -> str:
    """The tag of the hosts' image, built first where it is not there (minutes, and downloads)."""
    return _image(engine, say, "turnout-lab", INPUTS / "host")


def ceph_image(engine: Engine, say: Callable[[str], None]) -> str:
    """The tag of the Ceph image, built first where it is not there (minutes, and downloads)."""
    return _image(engine, say, "turnout-lab-ceph", CEPH)


def _image(engine: Engine, say: Callable[[str], None], name: str, inputs: Path) -> str:
    tag = f"localhost/{name}:{content_hash(inputs)}"
    if not engine.has_image(tag):
        packages = (inputs / "packages").read_text().split()
        say(f"building {tag}, once: Debian 12 with {' '.join(packages)}")
        with tempfile.TemporaryDirectory(prefix="build-", dir=CACHE) as work:
            _build(engine, say, tag, inputs, Path(work))
    return tag


def _build(engine: Engine, say: Callable[[str], None], tag: str, inputs: Path, work: Path) -> None:
    log = CACHE / "build.log"
    context = work / "context"
    shutil.copytree(inputs, context)
    if (context / "pm2").exists():
        say("installing PM2 from its lock file (npm)")
        run_long("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", context / "pm2", log=log)
    arguments: tuple[str, ...] = ()
    if shutil.which("mmdebstrap"):
        arguments = ("--build-arg", f"BASE={_base_tree(engine, say, inputs / 'packages', work / 'base.tar', log)}")
    say("building the image")
    engine.run_long("build", "--network=host", *arguments, "-t", tag, "-f", context / "Containerfile", context, log=log)


def _base_tree(engine: Engine, say: Callable[[str], None], packages: Path, tar: Path, log: Path) -> str:
    """A Debian tree with the packages in it, from the machine's own apt settings: no image registry is asked."""
    names = packages.read_text().split()
    tag = f"localhost/turnout-lab-base:{hashlib.sha256(' '.join([SUITE, *names]).encode()).hexdigest()[:12]}"
    if not engine.has_image(tag):
        say("installing the packages into a new tree (mmdebstrap)")
        include = f"--include={','.join(names)}"
        run_long("mmdebstrap", "-q", "--variant=minbase", "--mode=root", include, *NO_MANUALS, SUITE, tar, log=log)
        say("importing the tree")
        engine.run_long("import", tar, tag, log=log)
    return tag
