"""What a preview of a restore says: halves, losses, what stands in the way, and which restore an undo is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.errors import BadInput, Refused
from fabfile.model.observed import HistoryEntry
from fabfile.model.recovery_point import DatabaseFacts, PhysicalBackup, RecoveryPoint, StoredPart
from fabfile.model.restore import Restore
from fabfile.planning.restore_preview import (
    TABLES,
    choose,
    last_restore,
    refuse_if_files_gone,
    refuse_if_no_room,
    runs_since,
    since,
    what_differs,
)
from tests.unit.planning.test_deploy_plan import serving

FACTS = DatabaseFacts("15.18", 1 << 30, "app", "UTF8", {"plpgsql": "1.0"}, {"public.items": 3})
COUNTS = st.dictionaries(st.sampled_from([f"public.t{number}" for number in range(40)]), st.integers(0, 10**9))


def point(*parts: str) -> RecoveryPoint:
    objects = tuple(StoredPart(name, f"k/{name}", 1, "0" * 64) for name in parts)
    return RecoveryPoint(
        1, 7, "shop", "demo", "full", "by hand", "2026-01-01T00:00:00Z", "1.0", None, "r", 1.0, objects, FACTS
    )


WHOLE = ("database", "files:h1", "release")
SERVER = PhysicalBackup("shop", "l", "m", 1, "0/1", "0/2", "2026-01-01T00:00:00Z", "2026-01-01T00:00:09Z")


def test_a_backup_brings_back_all_that_it_holds() -> None:
    choice = choose(point(*WHOLE), False, False, True)
    assert (choice.restore, choice.release, choice.notes) == (Restore(True, True, 7), True, ())


def test_either_half_comes_alone_and_the_release_stays() -> None:
    assert choose(point(*WHOLE), True, False, True).restore == Restore(False, True, 7)
    assert choose(point(*WHOLE), False, True, True).restore == Restore(True, False, 7)
    assert not choose(point(*WHOLE), True, False, True).release
    assert not choose(point(*WHOLE), False, True, True).release


def test_a_whole_server_comes_back_in_the_place_of_a_database() -> None:
    whole = replace(point("files:h1", "release"), database=None, pgbackrest=SERVER)
    choice = choose(whole, False, False, True)
    assert (choice.restore, choice.release) == (Restore(False, True, 7, server=True), True)
    assert choose(whole, False, True, True).restore == Restore(False, False, 7, server=True)
    assert choose(whole, True, False, True).restore == Restore(False, True, 7)
    with pytest.raises(BadInput, match="holds a database, and the environment has none"):
        choose(whole, False, False, False)


def test_a_backup_of_the_database_implies_that_half_and_says_what_stays() -> None:
    choice = choose(point("database"), False, False, True)
    assert (choice.restore, choice.release) == (Restore(True, False, 7), False)
    assert "no shared files and no release in it" in choice.notes[0]


@pytest.mark.parametrize(
    ("parts", "flags", "says"),
    [
        (("files:h1",), (False, True), "holds no database"),
        (("database",), (True, False), "holds no shared files"),
        (("release",), (False, False), "neither a database nor shared files"),
    ],
)
def test_what_a_backup_does_not_hold_cannot_be_chosen(
    parts: tuple[str, ...], flags: tuple[bool, bool], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        choose(point(*parts), *flags, True)


def test_without_a_database_only_files_can_come_back() -> None:
    with pytest.raises(BadInput, match="the environment has none"):
        choose(point(*WHOLE), False, False, False)
    assert choose(point(*WHOLE), True, False, False).restore == Restore(False, True, 7)


@given(then=COUNTS, now=COUNTS)
def test_the_table_is_short_begins_with_the_biggest_loss_and_sums_up(then: dict[str, int], now: dict[str, int]) -> None:
    lines = what_differs(then, now)
    if then == now:
        assert len(lines) == 1
        return
    assert len(lines) <= TABLES + 3
    changes = [int(line.split()[-1]) for line in lines[1:]]
    shown = changes[: min(TABLES, len(lines) - 2)]
    assert shown == sorted(shown)
    assert changes[-1] == sum(then.values()) - sum(now.values())
    assert sum(changes[:-1]) == changes[-1]


def test_a_table_that_is_new_or_gone_is_told_from_an_empty_one() -> None:
    lines = what_differs({"public.gone": 0}, {"public.new": 5})
    assert lines[1].split() == ["public.new", "none", "5", "-5"]
    assert lines[2].split() == ["public.gone", "0", "none", "+0"]


def test_the_time_that_is_lost_is_named() -> None:
    now = datetime(2026, 1, 1, 3, 10, tzinfo=UTC)
    assert since("2026-01-01T00:00:00Z", now) == "everything written since 2026-01-01T00:00:00Z: 3 h"


def test_a_second_copy_needs_room_where_that_can_be_known() -> None:
    refuse_if_no_room("the database", 1 << 30, None)
    refuse_if_no_room("the database", 1 << 30, 2 << 30)
    with pytest.raises(Refused, match="the database: 1023 MiB free, 1088 MiB needed"):
        refuse_if_no_room("the database", 1 << 30, (1 << 30) - 1)


def entry(run: str, at: str, verb: str = "rollback", restore: Restore | None = None) -> HistoryEntry:
    return HistoryEntry(at, verb, "1.0", "ann", run, "2.0", restore)


RESTORED = entry("r2", "2026-01-02", restore=Restore(True, True, 7))


def test_the_last_restore_is_found_on_whichever_host_knows_it_and_so_is_what_came_after() -> None:
    one = replace(serving("h1"), history=(entry("r1", "2026-01-01", restore=Restore(True, True, 3)),))
    two = replace(serving("h2"), history=(RESTORED, entry("r3", "2026-01-03", "deploy")))
    assert last_restore([one, two]) == RESTORED
    assert runs_since([one, two], RESTORED) == ["deploy of 1.0"]


def test_without_a_restore_there_is_nothing_to_undo() -> None:
    with pytest.raises(Refused, match="nothing to undo"):
        last_restore([replace(serving("h1"), history=(entry("r3", "2026-01-03", "deploy"),))])


def test_an_undo_needs_the_files_on_every_host() -> None:
    refuse_if_files_gone("r2", ("h1", "h2"), {"h1": {"r2": 1}, "h2": {"r2": 1}})
    with pytest.raises(Refused, match=r"^h2: the files from before run r2 are not kept any more"):
        refuse_if_files_gone("r2", ("h1", "h2"), {"h1": {"r2": 1}, "h2": {"r1": 1}})
