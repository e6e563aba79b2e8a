"""What one look at a host makes of its journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fabfile.commands.observe import observe, parse
from fabfile.model.observed import LastRun
from fabfile.model.paths import Paths
from fabfile.remote.local import LocalHost


def last_run(folder: Path, *events: tuple[str, str]) -> LastRun | None:
    paths = Paths("shop", base=str(folder), nginx=str(folder))
    Path(paths.state).mkdir(parents=True)
    lines = [json.dumps({"run": "r1", "verb": "deploy", "step": step, "event": event}) for step, event in events]
    Path(paths.state, "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return parse("h1", paths, LocalHost("h1").run(observe(paths, 1)).stdout).last_run


@pytest.mark.parametrize(
    ("events", "step", "result"),
    [
        ([("tidy", "done"), ("post-deploy", "start")], "tidy", "done"),
        ([("upload", "undone"), ("deploy-failed", "start"), ("deploy-failed.2", "failed")], "upload", "undone"),
        ([("start", "failed"), ("deploy-failed", "done")], "start", "failed"),
        ([("pre-deploy", "start")], "pre-deploy", "start"),
    ],
)
def test_hooks_after_a_run_do_not_hide_how_it_ended(
    tmp_path: Path, events: list[tuple[str, str]], step: str, result: str
) -> None:
    assert last_run(tmp_path, *events) == LastRun("r1", "deploy", step, result)


def test_a_journal_that_is_empty_tells_of_no_run(tmp_path: Path) -> None:
    assert last_run(tmp_path) is None
