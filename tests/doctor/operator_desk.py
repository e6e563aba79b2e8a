"""Somebody who reads what the doctor says and types it, word for word, where it says."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from collections.abc import Mapping
from typing import Any

from tests.e2e.project import LIMIT, Project

Finding = Mapping[str, Any]
BAD = ("warning", "critical")


def examine(project: Project) -> tuple[int, dict[str, Any]]:
    """The exit code of `inv doctor`, and its document."""
    process = project.start("doctor", "--json")
    out, err = process.communicate(timeout=LIMIT)
    assert "Traceback" not in out + err, out + err
    return process.returncode, json.loads(out.strip().splitlines()[-1])


def named(document: Mapping[str, Any]) -> dict[tuple[str, str], Finding]:
    """What is wrong, by check and place."""
    found = [one for one in document["findings"] if one["verdict"] in BAD]
    by_place = {(one["check"], one["where"]): one for one in found}
    assert len(by_place) == len(found), found
    return by_place


def type_in(project: Project, remedy: Mapping[str, str], answer: str) -> None:
    """Type a remedy's command: on its host as its user, or here, in a terminal that the answer is typed into."""
    assert remedy["command"], remedy
    if remedy["on"]:
        project.lab.execute(remedy["on"], "bash", "-c", remedy["command"], user=remedy["user"])
        return
    keyboard, terminal = pty.openpty()
    after = project.folder / "after"
    try:
        os.write(keyboard, answer.encode())
        done = subprocess.run(
            ["bash", "-c", f"{remedy['command']}\nstatus=$?; env -0 > '{after}'; exit $status"],
            cwd=project.folder,
            env=project.environment,
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 0, f"{remedy['command']}: {done.stdout}{done.stderr}"
    # What was exported stays so in the shell of whoever typed it.
    variables = after.read_text().split("\0")[:-1]
    project.environment.update(dict(variable.split("=", 1) for variable in variables))
