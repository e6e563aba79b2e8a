"""Questions that are asked at once: each has its time, and none keeps another from its answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from fabfile.checks.evidence import Unseen
from fabfile.errors import BadInput, DatabaseError, FleetError, RemoteError, TurnoutError, Unreachable
from fabfile.examination import AT_ONCE, Questions, why_not
from fabfile.model.finding import Remedy


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end of a test, for those who would wait for ever."""
    event = threading.Event()
    yield event
    event.set()


def test_one_that_hangs_is_cut_off_and_told_as_such_and_the_others_answer(over: threading.Event) -> None:
    begun = time.monotonic()
    questions = Questions(limit=0.3, count=2)
    hanging, answered = questions.ask(lambda: over.wait(60)), questions.ask(lambda: 42)
    assert hanging() == Unseen("cut off: there was no answer within 0.3 s")
    assert answered() == 42
    assert time.monotonic() - begun < 20


def test_all_are_asked_at_the_same_time() -> None:
    together = threading.Barrier(8)
    questions = Questions(limit=30, count=8)
    answers = [questions.ask(lambda: together.wait(20)) for _ in range(8)]
    assert sorted(answer() for answer in answers) == list(range(8))  # type: ignore[type-var]


def test_a_large_fleet_has_more_time() -> None:
    assert Questions(limit=10, count=AT_ONCE).limit == 10
    assert Questions(limit=10, count=AT_ONCE + 1).limit == 20


def test_a_failure_and_a_defect_are_answers_too() -> None:
    questions = Questions(limit=30, count=2)

    def refuse() -> int:
        raise DatabaseError("db: the server refuses", "look at its log")

    def break_down() -> int:
        raise ValueError("odd")

    refused, broken = questions.ask(refuse), questions.ask(break_down)
    assert refused() == Unseen("db: the server refuses", "failed", Remedy(note="look at its log"))
    assert broken() == Unseen("internal error: ValueError: odd")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DatabaseError("no"), "failed"),
        (RemoteError("h1", "no"), "failed"),
        (Unreachable("h1", "no"), "elsewhere"),
        (BadInput("no password"), "elsewhere"),
        (FleetError([RemoteError("h1", "no"), Unreachable("h2", "no")]), "elsewhere"),
    ],
)
def test_what_another_check_names_is_not_told_twice(error: TurnoutError, kind: str) -> None:
    assert why_not(error).kind == kind


def test_the_hosts_name_stands_once() -> None:
    assert why_not(Unreachable("h1", "no connection")).why == "no connection"
