"""How commands are run and shown, and what the demo makes of it, with real programs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fabfile.errors import BadInput
from fabfile.lab.narration import Narrator, StepTaken, Unexpected, run_streamed
from fabfile.lab.tally import Request, Snapshot, Tally
from fabfile.lab.verdict import Verdict

PYTHON = sys.executable
CHILD = """
import os, signal, sys, time
def undo(number, frame):
    print("undoing", flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, undo)
print("busy", flush=True)
time.sleep(60)
"""
PARENT = f"""
import signal, sys
from fabfile.lab.narration import run_streamed
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    run_streamed((sys.executable, "-c", {CHILD!r}), {{}})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def nobody() -> Snapshot | None:
    return None


def script(text: str) -> tuple[str, str, str]:
    return (PYTHON, "-c", text)


def test_output_is_shown_line_by_line_and_the_answer_is_kept_apart(capsys: pytest.CaptureFixture[str]) -> None:
    both = script("import sys; print('answer'); print('progress', file=sys.stderr)")
    assert run_streamed(both, {}, answer=True) == (0, "answer\n")
    assert capsys.readouterr().out.split() == ["progress"]
    assert run_streamed(both, {}) == (0, "")
    assert sorted(capsys.readouterr().out.split()) == ["answer", "progress"]


def test_the_environment_reaches_the_command_and_no_argument_does() -> None:
    assert run_streamed(script("import os; print(os.environ['SECRET'])"), {"SECRET": "x1"}, answer=True) == (0, "x1\n")


def test_a_step_that_ends_otherwise_is_kept_and_refused() -> None:
    narrator = Narrator(nobody)
    narrator.command("fails as it should", script("raise SystemExit(6)"), {}, expected=6)
    with pytest.raises(Unexpected, match="deploy: exit 7, where the story has 0"):
        narrator.command("deploy", script("raise SystemExit(7)"), {})
    with pytest.raises(BadInput), narrator.step("look"):
        raise BadInput("nothing there")
    assert [(step.name, step.exit) for step in narrator.steps] == [
        ("fails as it should", 6),
        ("deploy", 7),
        ("look", 1),
    ]


def test_a_step_knows_what_users_met_meanwhile() -> None:
    tally = Tally()
    tally.count(Request("GET", "/", "h1", 0.0), "200")
    narrator = Narrator(tally.snapshot)
    with narrator.step("switch"):
        tally.count(Request("GET", "/", "h1", 0.0), "200")
        tally.count(Request("GET", "/", "h1", 0.0), "502", "status 502, not 200")
    assert (narrator.steps[0].requests, narrator.steps[0].failed) == (2, 1)


def test_an_interrupt_lets_the_command_undo_and_is_passed_on() -> None:
    with subprocess.Popen(script(PARENT), stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline().split() == ["busy"]
        os.kill(parent.pid, signal.SIGINT)
        began = time.monotonic()
        said, _ = parent.communicate(timeout=30)
    lines = [line.strip() for line in said.splitlines()]
    assert lines[-2:] == ["undoing", "interrupted"]
    assert time.monotonic() - began < 20


def verdict(failed: bool = False, dropped: bool = False, error: BadInput | None = None, served: bool = True) -> Verdict:
    tally = Tally()
    asked = Request("GET", "/", "h1", 0.0)
    if served:
        tally.count(asked, "200")
        tally.echoed()
    if failed:
        tally.count(asked, "502", "status 502, not 200")
    if dropped:
        tally.dropped(asked, "cut")
    return Verdict([StepTaken("deploy v1", 1.5, 0)], tally.snapshot(), 2.0, error)


def test_only_a_story_without_any_loss_is_good() -> None:
    assert verdict().good
    assert not verdict(failed=True).good
    assert not verdict(dropped=True).good
    assert not verdict(error=BadInput("no")).good
    assert not verdict(served=False).good
    assert not Verdict([], None, 1.0, None).good


def test_the_summary_names_every_step_and_every_loss() -> None:
    text = verdict(failed=True, dropped=True).text()
    assert "deploy v1" in text
    assert "2 sent, 1 failed" in text
    assert "h1 GET /: status 502, not 200" in text
    assert "NOT everything" in text


def test_the_document_holds_the_figures() -> None:
    document = verdict(failed=True).document()
    assert document["steps"] == [{"name": "deploy v1", "seconds": 1.5, "exit": 0}]
    assert (document["requests"], document["failed"], document["sockets_dropped"]) == (2, 1, 0)
    assert document["outage"] == {"seconds": 0.0, "statuses": {}}
