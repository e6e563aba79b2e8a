"""What is pending, what has drifted, and which way is safe, from a release's files and a database's rows."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import Refused
from fabfile.model.migration import Applied, Migration, Phase
from fabfile.planning.migrations import (
    compare,
    overview,
    refuse_if_drifted,
    refuse_over_contract,
    split,
    to_take_back,
)

PHASES: st.SearchStrategy[Phase] = st.sampled_from(("expand", "contract"))
HISTORIES = st.lists(PHASES, max_size=12).map(
    lambda phases: [migration(number, phase) for number, phase in enumerate(phases, 1)]
)


def migration(version: int, phase: Phase = "expand", checksum: str = "") -> Migration:
    return Migration(version, f"{version:03d}_step", phase, checksum or f"sum{version}", "SELECT 1;", "SELECT 2;")


def row(one: Migration, down: str | None = "SELECT 2;") -> Applied:
    return Applied(one.version, one.name, one.phase, one.checksum, "2026-11-21T03:00:00Z", 0.5, "1.0-abc", "run", down)


def rows(migrations: Sequence[Migration]) -> list[Applied]:
    return [row(one) for one in migrations]


@given(HISTORIES, st.integers(0, 12))
def test_what_is_not_applied_is_pending_and_nothing_is_wrong(history: list[Migration], count: int) -> None:
    standing = compare(history, rows(history[:count]))
    assert list(standing.pending) == history[count:]
    assert (standing.ahead, standing.problems) == ((), ())


@given(HISTORIES, st.integers(0, 12))
def test_an_older_release_has_nothing_pending_and_a_database_ahead_of_it(history: list[Migration], count: int) -> None:
    standing = compare(history[:count], rows(history))
    assert standing.pending == ()
    assert [ahead.version for ahead in standing.ahead] == [one.version for one in history[count:]]
    assert standing.problems == ()


@given(HISTORIES.filter(lambda history: len(history) > 1), st.data())
def test_an_applied_file_that_changed_or_is_gone_is_named(history: list[Migration], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(history) - 2))
    changed = [*history[:place], migration(place + 1, checksum="other"), *history[place + 1 :]]
    (problem,) = compare(changed, rows(history)).problems
    assert problem.startswith(f"{place + 1:03d}_step.sql is not what was applied from 1.0-abc")
    gone = [*history[:place], *history[place + 1 :]]
    (problem,) = compare(gone, rows(history)).problems
    assert problem.startswith(f"{place + 1:03d}_step.sql is missing")


def test_a_file_whose_number_was_passed_comes_too_late() -> None:
    standing = compare([migration(1), migration(2), migration(3)], rows([migration(1), migration(3)]))
    assert standing.problems == ("002_step.sql comes too late: number 3 is applied already",)
    with pytest.raises(Refused, match=r"the migrations of 2\.0-abc do not fit the database") as refused:
        refuse_if_drifted(standing, "2.0-abc")
    assert refused.value.details == standing.problems


def test_a_file_of_another_branch_with_an_applied_number_is_a_change() -> None:
    standing = compare([migration(1), migration(2, checksum="theirs")], rows([migration(1), migration(2)]))
    assert len(standing.problems) == 1
    assert "002_step.sql is not what was applied" in standing.problems[0]


@given(HISTORIES, st.integers(0, 12))
def test_code_goes_back_over_expand_migrations_and_over_no_contract(history: list[Migration], count: int) -> None:
    holds = frozenset(one.key for one in history[:count])
    over = [one.name for one in history[count:] if one.phase == "contract"]
    if over:
        with pytest.raises(Refused, match=r"1\.0-abc was built before") as refused:
            refuse_over_contract("1.0-abc", rows(history), holds, "the way out")
        assert all(name in refused.value.fact for name in over)
        assert refused.value.hint == "the way out"
    else:
        refuse_over_contract("1.0-abc", rows(history), holds, "the way out")


def test_a_contract_of_the_same_number_in_another_branch_is_not_the_same() -> None:
    with pytest.raises(Refused):
        refuse_over_contract("1.0", rows([migration(1, "contract")]), frozenset({(1, "theirs")}), "")


@given(HISTORIES)
def test_where_nothing_runs_nothing_waits(pending: list[Migration]) -> None:
    assert split(pending, []).before == tuple(pending)


@given(HISTORIES, st.integers(0, 12), st.integers(0, 12))
def test_a_contract_waits_for_every_release_that_does_not_hold_it(
    pending: list[Migration], first: int, second: int
) -> None:
    serving = [frozenset(one.key for one in pending[:count]) for count in (first, second)]
    held = min(first, second)
    places = [place for place, one in enumerate(pending) if one.phase == "contract" and place >= held]
    wait = places[0] if places else len(pending)
    if any(one.phase == "expand" for one in pending[wait:]):
        with pytest.raises(Refused, match="a contract migration has to wait"):
            split(pending, serving)
    else:
        due = split(pending, serving)
        assert (due.before, due.after) == (tuple(pending[:wait]), tuple(pending[wait:]))


def test_what_cannot_wait_behind_what_must_names_both_and_the_ways_out() -> None:
    with pytest.raises(Refused) as refused:
        split([migration(4), migration(5, "contract"), migration(6)], [frozenset()])
    assert refused.value.details == ("006_step cannot come before 005_step (contract), which has to wait",)
    assert "ends with 005_step" in refused.value.hint


@given(HISTORIES, st.integers(0, 12))
def test_taking_back_goes_from_the_newest_down_to_the_version_that_stays(history: list[Migration], count: int) -> None:
    applied = rows(history)
    stays = min(count, len(history))
    assert [one.version for one in to_take_back(applied, stays, [])] == list(range(len(history), stays, -1))
    assert [one.version for one in to_take_back(applied, None, [])] == [one.version for one in history[-1:]]


def test_what_runs_relies_on_is_not_taken_back() -> None:
    history = [migration(1), migration(2)]
    live = [("2.0-abc", frozenset({history[1].key}))]
    with pytest.raises(Refused, match="what runs relies on") as refused:
        to_take_back(rows(history), 0, live)
    assert refused.value.details == ("002_step: 2.0-abc runs and holds it",)
    assert "inv rollback" in refused.value.hint


def test_what_has_no_down_file_and_what_is_not_applied_is_refused() -> None:
    with pytest.raises(Refused, match="not every migration can be taken back") as refused:
        to_take_back([row(migration(1), down=None)], None, [])
    assert refused.value.details == ("001_step: had no 001_step_down.sql when it was applied",)
    with pytest.raises(Refused, match="no migration 7 is applied"):
        to_take_back(rows([migration(1)]), 7, [])


def test_the_overview_shows_both_sides() -> None:
    ours = [migration(2, checksum="other"), migration(3), migration(4), migration(5)]
    theirs = rows([migration(1), migration(2), migration(3)])
    shown = {line["version"]: line["state"] for line in overview(ours, theirs)}
    assert shown == {1: "missing", 2: "changed", 3: "applied", 4: "pending", 5: "pending"}
    assert [line["state"] for line in overview([migration(1)], rows([migration(1), migration(2)]))] == [
        "applied",
        "ahead",
    ]
