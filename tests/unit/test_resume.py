"""Which steps a resumed run does, does again, or leaves out."""

from __future__ import annotations

from fabfile.engine.step import HostStep
from fabfile.model.script import Script
from fabfile.planning.unfinished import Unfinished, find_unfinished
from fabfile.unfinished import remaining
from tests.unit.planning.test_unfinished import interrupted

DEPLOY = ("begin", "place", "start", "prove", "switch", "confirm", "settle")
CANARY = (
    "begin",
    "start",
    "prove",
    "canary-10",
    "confirm-10",
    "gate-10",
    "canary-50",
    "confirm-50",
    "gate-50",
    "switch",
)


def found(progress: dict[str, str], **changes: str) -> Unfinished:
    run = find_unfinished(interrupted({"h1": progress, "h2": progress}, **changes))
    assert run is not None
    return run


def ahead(names: tuple[str, ...], run: Unfinished) -> list[str]:
    nothing = dict.fromkeys(("h1", "h2"), Script(":\n", timeout=1))
    return [step.name for step in remaining([HostStep(name, "", nothing) for name in names], run)]


def done(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "done")


def test_it_goes_on_where_it_stopped_and_proves_the_release_again() -> None:
    run = found({**done("begin", "place", "start", "prove"), "switch": "start"})
    assert ahead(DEPLOY, run) == ["start", "prove", "switch", "confirm", "settle"]


def test_a_resume_that_stopped_while_proving_again_does_not_switch_again() -> None:
    run = found({**done(*DEPLOY[:-1]), "prove": "start", "settle": "start"})
    assert ahead(DEPLOY, run) == ["start", "prove", "settle"]


def test_a_release_that_waited_is_tested_again_before_it_gets_traffic() -> None:
    table = (*DEPLOY[:4], "smoke-idle", *DEPLOY[4:])
    run = found({**done("begin", "place", "start", "prove", "smoke-idle"), "switch": "start"})
    assert ahead(table, run) == ["start", "prove", "smoke-idle", "switch", "confirm", "settle"]


def test_a_hook_that_was_added_since_is_not_gone_back_to() -> None:
    table = (*DEPLOY[:2], "hook pre-switch 1", *DEPLOY[2:])
    run = found({**done(*DEPLOY[:-2]), "confirm": "start"})
    assert ahead(table, run) == ["start", "prove", "confirm", "settle"]


def test_a_run_of_which_all_is_done_has_nothing_ahead() -> None:
    assert ahead(DEPLOY, found(done(*DEPLOY))) == []


def test_a_held_canary_gets_its_share_again_before_it_is_judged_again() -> None:
    """The hold ended its trial, without which a gate says that the host took its traffic back."""
    run = found({**done(*CANARY[:8], "hold"), "gate-50": "going"}, share="blue-50")
    assert ahead(CANARY, run) == ["start", "prove", "canary-50", "confirm-50", "gate-50", "switch"]
