"""The example application: what a deploy relies on, without a database and without its dependencies."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

APP = Path(__file__).parents[3] / "examples/app"
PURE = ("environment", "routing", "validation")


def node(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("node")
    assert program, "node is needed to run the example application"
    return subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=60)


def test_its_pure_parts_pass_their_own_tests() -> None:
    done = node("--test", *(f"test/{name}.test.js" for name in PURE), folder=APP)
    assert done.returncode == 0, done.stdout


def test_its_lock_file_names_every_dependency_by_hash_and_no_registry() -> None:
    lock = json.loads((APP / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert {"node_modules/pg", "node_modules/ws"} <= set(packages)
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert not [name for name, entry in packages.items() if "resolved" in entry]


def test_its_page_refers_to_the_assets_that_the_build_made(tmp_path: Path) -> None:
    for name in ("web", "build.js"):
        copy = shutil.copytree if (APP / name).is_dir() else shutil.copy
        copy(APP / name, tmp_path / name)
    made: list[dict[str, bytes]] = []
    for _ in range(2):
        assert node("build.js", folder=tmp_path).returncode == 0
        public = tmp_path / "public"
        made.append({str(path.relative_to(public)): path.read_bytes() for path in public.rglob("*") if path.is_file()})
    assert made[0] == made[1]
    page = made[0].pop("index.html").decode()
    assert len(made[0]) == 2
    assert all(f'"/{name}"' in page for name in made[0])
