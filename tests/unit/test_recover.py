"""What a recovery hears of its own run, and which of its steps an interrupted one still has to do."""

from __future__ import annotations

from dataclasses import replace

from fabfile.engine.events import Counted, Event, Note, StepDone, StepStarted
from fabfile.model.observed import HistoryEntry
from fabfile.model.restore import Restore
from fabfile.planning.restore_preview import last_restore
from fabfile.recover import Stopwatch
from tests.unit.planning.test_deploy_plan import bare, serving
from tests.unit.test_resume import ahead, done, found

RECOVER = ("begin", "create-db", "load-db", "load-files", "vacant", "swap-db", "swap-files", "start", "prove", "seal")


def test_users_are_served_when_they_are_let_through_and_not_when_the_run_ends() -> None:
    told: list[Event] = []
    watch = Stopwatch(told.append)
    events = (
        StepStarted("load-db", "", ("h1",)),
        Counted({"public.items": 3}),
        StepDone("load-db", 1.5),
        Note("a word"),
    )
    for event in events:
        watch(event)
    assert (watch.phases, watch.rows, watch.served) == ({"load-db": 1.5}, {"public.items": 3}, 0.0)
    watch(StepDone("unfreeze", 0.25))
    served = watch.served
    watch(StepDone("record", 0.5))
    assert 0.0 < served == watch.served
    assert told[:4] == list(events)


def test_what_was_loaded_and_put_in_place_is_not_loaded_again() -> None:
    assert ahead(RECOVER, found({**done(*RECOVER[:5]), "swap-db": "start"})) == [
        "swap-db",
        "swap-files",
        "start",
        "prove",
        "seal",
    ]
    half = found({**done(*RECOVER[:2]), "load-db": "going"})
    assert ahead(RECOVER, half) == list(RECOVER[2:])


def test_a_recovery_put_nothing_aside_that_an_undo_could_bring_back() -> None:
    recovered = HistoryEntry("2026-01-02", "recover", "1.0", "ann", "r2", None, Restore(True, True, 7))
    restored = HistoryEntry("2026-01-01", "rollback", "1.0", "ann", "r1", None, Restore(True, True, 7))
    assert last_restore([bare("h2"), replace(serving("h1"), history=(restored, recovered))]) == restored
