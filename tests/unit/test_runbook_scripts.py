"""The scripts that stand in runbooks: each becomes one `inv`, wherever it is called from, and ends as that ends."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
INV = """#!/bin/sh
printf '%s' "$PWD" > "$0.where"
for word in "$@"; do printf '%s\\n' "$word"; done
exit 6
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the scripts, and an `inv` in its .venv that tells its words and ends with 6."""
    folder = tmp_path / "a project"
    (folder / "scripts").mkdir(parents=True)
    for script in SCRIPTS.glob("*.sh"):
        shutil.copy(script, folder / "scripts")
    install(folder / ".venv" / "bin", INV)
    return folder


def install(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "inv").write_text(text)
    (folder / "inv").chmod(0o755)


def call(script: Path, *words: str, given: str = "", path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(script), *words], input=given, env={"PATH": path}, cwd="/", capture_output=True, text=True, timeout=30
    )


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("backup.sh create", ["backup"]),
        ("backup.sh create-full --env=production", ["backup.create-full", "--env=production"]),
        ("backup.sh create-db --label=x", ["backup.create-db", "--label=x"]),
        ("backup.sh list --json", ["backup.list", "--json"]),
        ("rollback.sh 1 --env=production --yes", ["rollback", "--env=production", "--yes"]),
        ("rollback.sh 1", ["rollback"]),
        ("rollback.sh 2 14", ["rollback", "--backup=14"]),
        ("rollback.sh --yes 2 latest", ["rollback", "--backup=latest", "--yes"]),
        ("rollback.sh 3 --json", ["backup.list", "--json"]),
        ("deploy-blue-green.sh production", ["deploy", "--env=production"]),
        ("deploy-blue-green.sh eu-1 --canary=10,100", ["deploy", "--env=eu-1", "--canary=10,100"]),
    ],
)
def test_a_line_of_a_runbook_becomes_one_command_and_ends_as_it_ends(
    project: Path, line: str, becomes: list[str]
) -> None:
    script, *words = line.split()
    done = call(project / "scripts" / script, *words)
    assert done.stdout.splitlines() == becomes
    assert done.returncode == 6


@pytest.mark.parametrize(
    "line",
    [
        "backup.sh",
        "backup.sh drop",
        "backup.sh create production",
        "backup.sh create --",
        "rollback.sh 4",
        "rollback.sh 1 2",
        "rollback.sh 2 0",
        "rollback.sh 2 --x -y",
        "rollback.sh 2 3 4",
        "rollback.sh 2 1;2",
        "deploy-blue-green.sh",
        "deploy-blue-green.sh Production",
        "deploy-blue-green.sh ../etc",
        "deploy-blue-green.sh production staging",
        "deploy-blue-green.sh production --env=staging",
    ],
)
def test_anything_else_is_refused_with_what_there_is_and_runs_nothing(project: Path, line: str) -> None:
    script, *words = line.split()
    done = call(project / "scripts" / script, *words)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"scripts/{script} " in done.stderr


@pytest.mark.parametrize("script", ["backup.sh", "rollback.sh", "deploy-blue-green.sh"])
def test_help_is_an_answer(project: Path, script: str) -> None:
    done = call(project / "scripts" / script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"scripts/{script} ")


def test_a_symlink_from_elsewhere_works_in_the_project(project: Path, tmp_path: Path) -> None:
    link = tmp_path / "backup"
    link.symlink_to(project / "scripts" / "backup.sh")
    assert call(link, "list").stdout == "backup.list\n"
    assert (project / ".venv" / "bin" / "inv.where").read_text() == str(project)


def test_without_a_venv_the_inv_on_the_path_is_taken(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".venv")
    missing = call(project / "scripts" / "backup.sh", "list")
    assert missing.returncode == 3
    assert "scripts/setup" in missing.stderr
    install(tmp_path / "bin", INV)
    assert call(project / "scripts" / "backup.sh", "list", path=f"{tmp_path}/bin:/usr/bin:/bin").returncode == 6


def test_the_menu_lists_and_asks_for_the_number(project: Path) -> None:
    install(project / ".venv" / "bin", '#!/bin/sh\necho "$@"\n')
    done = call(project / "scripts" / "rollback.sh", "--env=production", "--yes", given="5\n3\n2\n14\n")
    assert done.stdout.splitlines() == [
        "backup.list --env=production",
        "backup.list --env=production",
        "rollback --backup=14 --env=production --yes",
    ]
    assert "1) quick" in done.stderr
    assert "5 is none of them" in done.stderr


@pytest.mark.parametrize("given", ["", "2\n", "2\nfour\n"])
def test_a_menu_without_an_answer_rolls_nothing_back(project: Path, given: str) -> None:
    install(project / ".venv" / "bin", '#!/bin/sh\necho "$@"\n')
    done = call(project / "scripts" / "rollback.sh", given=given)
    assert done.returncode == 3
    assert "rollback" not in done.stdout
