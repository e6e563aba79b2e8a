"""A text in an editor is in a place of one's own that is gone afterwards, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabfile.editor import MEMORY, edit, in_memory, passing_folder
from fabfile.errors import BadInput

ROOT = Path(__file__).parents[2]
HOLDS = """
import os, sys
from pathlib import Path
from fabfile.editor import edit, passing_folder
with passing_folder() as folder:
    (folder / "secrets").write_text("hunter2")
    print(folder, flush=True)
    edit(folder / "secrets", {"EDITOR": "sh -c 'sleep 60'"})
"""


def test_the_folder_is_private_in_memory_and_gone_afterwards() -> None:
    with passing_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert (folder.parent == MEMORY) is in_memory()
        (folder / "secrets").write_text("hunter2")
    assert not folder.exists()


def test_the_folder_is_gone_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError), passing_folder() as folder:
        raise ZeroDivisionError
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_folder_is_gone_when_its_owner_is_killed(number: int) -> None:
    owner = subprocess.Popen([sys.executable, "-c", HOLDS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    folder = Path(owner.stdout.readline().strip())
    assert (folder / "secrets").read_text() == "hunter2"
    editors = Path(f"/proc/{owner.pid}/task/{owner.pid}/children").read_text().split()
    owner.send_signal(number)
    owner.wait(20)
    owner.stdout.close()
    patience = time.monotonic() + 20
    while folder.exists() and time.monotonic() < patience:
        time.sleep(0.02)
    assert not folder.exists()
    for pid in editors:
        try:
            os.kill(int(pid), signal.SIGKILL)
        except ProcessLookupError:
            continue


def test_the_editor_is_the_one_that_was_chosen_with_its_arguments(tmp_path: Path) -> None:
    file = tmp_path / "text"
    script = "import sys; open(sys.argv[2], 'w').write(sys.argv[1])"
    for variables in ({"EDITOR": f'"{sys.executable}" -c "{script}" "two words"'},):
        edit(file, {**variables})
        assert file.read_text() == "two words"
    edit(file, {"VISUAL": "true", "EDITOR": "false"})


def test_an_editor_that_fails_or_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the editor false ended with status 1: nothing was changed"):
        edit(tmp_path / "text", {"EDITOR": "false"})
    with pytest.raises(BadInput, match="the editor nowhere does not start: no such file"):
        edit(tmp_path / "text", {"EDITOR": "nowhere"})
