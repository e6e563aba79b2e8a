"""Whatever a task runs into, its user gets a sentence and the exit code of its class."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TASKS = '''
from invoke.collection import Collection
from fabfile.errors import BadInput, Locked, RolledBack, TurnoutError
from fabfile.verb import verb

@verb(help={"kind": "what happens", "json": "json"})
def ends(reporter, kind="well", json=False):
    """End in some way."""
    if kind == "defect":
        raise ZeroDivisionError("oops")
    if kind == "leak":
        reporter.hide(["hunter2"])
        raise ValueError("not a number: hunter2")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "exec":
        exec("raise KeyboardInterrupt")
    if kind == "handled":
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            raise RolledBack("it happened", "do this")
    if kind == "plan":
        return reporter.leave(2)
    errors = {"bad": BadInput, "locked": Locked, "rolled": RolledBack, "failed": TurnoutError}
    if kind in errors:
        raise errors[kind]("it happened", "do this")
    reporter.answer("fine", {"fine": True})

ns = Collection(ends)
'''


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "tasks.py").write_text(TASKS)
    command = [sys.executable, "-m", "invoke", *words]
    root = str(Path(__file__).parents[2])
    environment = {"PYTHONPATH": root, "PATH": "/usr/bin:/bin", "TMPDIR": str(folder)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("well", 0),
        ("failed", 1),
        ("plan", 2),
        ("bad", 3),
        ("locked", 4),
        ("rolled", 6),
        ("interrupt", 130),
        ("exec", 130),
        ("handled", 6),
        ("defect", 1),
    ],
)
def test_each_end_has_its_code_and_no_traceback(tmp_path: Path, kind: str, code: int) -> None:
    done = run(tmp_path, "ends", f"--kind={kind}")
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    if kind in ("failed", "bad", "locked", "rolled"):
        assert done.stderr == "error: it happened\nHINT: do this\n"


def test_a_defect_leaves_its_traceback_in_a_file(tmp_path: Path) -> None:
    done = run(tmp_path, "ends", "--kind=defect")
    (log,) = tmp_path.glob("turnout-*.log")
    assert str(log) in done.stderr
    assert "ZeroDivisionError: oops" in log.read_text()


def test_no_secret_is_in_what_a_defect_leaves(tmp_path: Path) -> None:
    done = run(tmp_path, "ends", "--kind=leak")
    (log,) = tmp_path.glob("turnout-*.log")
    assert "ValueError: not a number: [hidden]" in log.read_text()
    assert "hunter2" not in done.stdout + done.stderr + log.read_text()


def test_an_error_is_a_document_with_json(tmp_path: Path) -> None:
    done = run(tmp_path, "ends", "--kind=locked", "--json")
    assert json.loads(done.stdout)["code"] == 4


def test_a_forgotten_value_is_noticed(tmp_path: Path) -> None:
    done = run(tmp_path, "ends", "--kind=--nonsense")
    assert done.returncode == 3
    assert "a value seems to be missing" in done.stderr


def test_invokes_dry_is_refused_because_it_would_run_for_real(tmp_path: Path) -> None:
    done = run(tmp_path, "--dry", "ends")
    assert done.returncode == 3
    assert "inv plan" in done.stderr
    assert "fine" not in done.stdout
