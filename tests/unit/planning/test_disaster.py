"""Rebuilding on new machines: the right backup, the right machines, and a refusal that names all that is in the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.schema import Environment
from fabfile.errors import BadInput, Refused
from fabfile.model.database_server import Role, ServerFacts
from fabfile.model.observed import Process, SlotState
from fabfile.model.recovery_point import DatabaseFacts, Kind, RecoveryPoint, StoredPart, Verification
from fabfile.planning.disaster import (
    asked_hosts,
    database_problems,
    lacking,
    needed_bytes,
    newest,
    preview,
    refuse_if_lacking,
    refuse_if_live,
    refuse_if_moved,
    refuse_if_unready,
)
from tests.unit.planning.test_deploy_plan import ENVIRONMENT, bare, serving

WHOLE = ("database", "files:h1", "files:h2", "release")
FACTS = DatabaseFacts("15.18", 1 << 30, "app", "UTF8", {"plpgsql": "1.0"}, {"public.items": 3}, (Role("app"),))
SERVER = ServerFacts("15.4", frozenset({"app"}), frozenset({"plpgsql"}))
APART = Environment.model_validate(
    {
        "app": "shop",
        "hosts": {
            "edge": {"address": "10.0.0.1", "roles": ["web"]},
            "a1": {"address": "10.0.0.2", "internal": "10.1.0.2", "roles": ["app"]},
            "a2": {"internal": "10.1.0.3", "roles": ["app"]},
            "store": {"roles": ["db"]},
        },
        "database": {"via": "store", "name": "shop", "user": "turnout", "password": "env:PASSWORD"},
    }
)


def point(number: int = 7, outcome: str | None = "passed", parts: tuple[str, ...] = WHOLE) -> RecoveryPoint:
    objects = tuple(StoredPart(name, f"k/{name}", 1 << 20, "0" * 64) for name in parts)
    at = f"2026-01-{number:02d}T00:00:00Z"
    kind: Kind = "full" if parts == WHOLE else "database"
    found = RecoveryPoint(
        1, number, "shop", "demo", kind, "by hand", at, "1.0-abc", None, "r", 1.0, objects, FACTS if parts else None
    )
    if outcome is None:
        return found
    return found.judged(Verification(at, "passed" if outcome == "passed" else "failed", "ann", 1.0))


def test_the_newest_complete_backup_that_restored_is_taken() -> None:
    points = [
        point(9, parts=("database",)),
        point(8, None),
        point(7, "failed"),
        point(6, "passed"),
        point(5, "passed"),
    ]
    assert newest(points, has_database=True).number == 6


def test_one_that_nobody_tried_is_only_taken_by_its_number() -> None:
    with pytest.raises(Refused) as refused:
        newest([point(9, "passed", ("database",)), point(8, None), point(7, None)], has_database=True)
    assert refused.value.fact == ("no complete backup was ever verified; the newest is 8, taken 2026-01-08T00:00:00Z")
    assert refused.value.hint == "take it all the same: inv recover --backup=8"


def test_without_any_complete_backup_nothing_is_promised() -> None:
    with pytest.raises(Refused, match="no backup holds database, shared files and release together"):
        newest([point(9, "passed", ("database",))], has_database=True)
    with pytest.raises(Refused, match="no backup holds"):
        newest([], has_database=True)


@given(st.sets(st.sampled_from(WHOLE)), st.booleans())
def test_a_backup_is_complete_with_all_that_the_environment_has(parts: set[str], has_database: bool) -> None:
    missing = lacking(point(7, parts=tuple(sorted(parts))), has_database)
    assert ("database" in missing) == (has_database and "database" not in parts)
    assert ("shared files" in missing) == (not {"files:h1", "files:h2"} & parts)
    assert ("release" in missing) == ("release" not in parts)


def test_a_backup_of_the_database_alone_is_refused_and_the_complete_ones_are_named() -> None:
    alone = point(9, parts=("database",))
    with pytest.raises(BadInput) as refused:
        refuse_if_lacking(alone, [alone, point(8), point(7)], has_database=True)
    assert refused.value.fact == ("backup 9 is of kind database: no shared files and no release in it to rebuild from")
    assert refused.value.hint == "complete are: 8, 7"
    with pytest.raises(BadInput, match="holds a database, and the environment has none"):
        refuse_if_lacking(point(8), [], has_database=False)
    refuse_if_lacking(point(8), [], has_database=True)


def test_hosts_are_named_by_their_names_or_their_addresses() -> None:
    assert asked_hosts(None, APART).hosts == ("a1", "a2", "edge")
    assert asked_hosts("edge, 10.0.0.2", APART).hosts == ("a1", "edge")
    assert asked_hosts("edge=10.0.0.1,a2=a2,store", APART).addresses == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("edge,10.0.0.9", "'10.0.0.9' is neither a host of the environment nor the address of one"),
        ("edge,", "'' is neither a host"),
        ("edge,store", "leaves out every host with the application"),
        ("a1,a2", "leaves out every host with nginx"),
        ("edge=,a1", "'edge=': expected a host name or IPv4 address"),
        ("edge=10.0.0.9; reboot,a1", "expected a host name or IPv4 address"),
    ],
)
def test_hosts_that_cannot_be_are_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        asked_hosts(text, APART)


def test_an_address_that_is_not_in_the_file_is_refused_with_the_line_to_change() -> None:
    asked = asked_hosts("edge=10.0.0.9,a1,a2=10.0.0.8,store=10.0.0.7", APART)
    lines = {name: f"hosts/demo.yml:{line}" for name, line in {"edge": 4, "a1": 6, "a2": 9, "store": 12}.items()}
    with pytest.raises(BadInput) as refused:
        refuse_if_moved(asked, APART, "demo", lines)
    assert refused.value.details == (
        "hosts/demo.yml:4: hosts.edge.address: 10.0.0.9 (now 10.0.0.1)",
        "hosts/demo.yml:9: hosts.a2.address: 10.0.0.8 (now a2); its internal as well (now 10.1.0.3)",
        "hosts/demo.yml:12: hosts.store.address: 10.0.0.7 (now store)",
    )
    assert "inv hosts.trust --env=demo" in refused.value.hint
    refuse_if_moved(asked_hosts("edge=10.0.0.1,a1", APART), APART, "demo", lines)


def test_a_machine_with_the_application_on_it_is_refused_whether_users_come_there_or_not() -> None:
    running = SlotState("1.0", 3001, "conf", True, Process("shop-blue", 7, "online", 0))
    odd = replace(bare("h2"), slots={"blue": running, "green": SlotState()})
    with pytest.raises(Refused) as refused:
        refuse_if_live({"h1": serving("h1"), "h2": odd})
    assert refused.value.details == ("h1: serves 1.0", "h2: runs 1.0")
    assert refused.value.hint.endswith("inv rollback --backup=N")
    refuse_if_live({"h1": bare("h1")})


def test_all_that_is_in_the_way_is_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        refuse_if_unready(["h1: no space", "role app is missing"])
    assert refused.value.details == ("h1: no space", "role app is missing")
    refuse_if_unready([])


def test_archive_and_shared_files_come_to_a_host() -> None:
    assert needed_bytes(point(), "h1") == 2 << 20
    assert needed_bytes(point(parts=("release",)), "h1") == 1 << 20


def test_a_database_with_tables_is_never_overwritten_and_an_empty_or_absent_one_is_fine() -> None:
    assert database_problems("shop", FACTS, None, SERVER, None) == []
    assert database_problems("shop", FACTS, replace(FACTS, tables={}), SERVER, 2 << 30) == []
    (line,) = database_problems("shop", FACTS, FACTS, SERVER, None)
    assert line.startswith("database shop holds 3 rows in 1 tables and is never overwritten")
    assert line.endswith('ALTER DATABASE "shop" RENAME TO "shop_old"')


def test_what_the_server_lacks_and_a_full_disk_are_problems_too() -> None:
    lines = database_problems("shop", FACTS, None, replace(SERVER, roles=frozenset()), 1 << 30)
    assert lines == [
        'role app is missing: CREATE ROLE "app"',
        "database shop: 1024 MiB free on its server, 1088 MiB needed",
    ]


def test_the_preview_tells_what_is_lost_left_out_and_not_taken() -> None:
    now = datetime(2026, 1, 7, 3, 10, tzinfo=UTC)
    points = (point(10), point(9, None), point(8, "failed"), point(7), point(6))
    lines = preview(point(7), (point(11, parts=("database",)), *points), ENVIRONMENT, ("h1",), False, now)
    assert lines[:2] == [
        "backup 7 (full, by hand): passed its verification 2026-01-07T00:00:00Z, 4.19 MB",
        "lost: everything written since 2026-01-07T00:00:00Z: 3 h",
    ]
    assert [line.partition("is newer")[2] for line in lines if "is newer" in line] == [
        ", but holds no shared files and no release",
        "",
        ", but was not verified",
        ", but failed its verification",
    ]
    assert "left out: h2; later: inv deploy.catch-up" in lines
    assert "the shared files of h2 go nowhere: inv backup.pull 7 has them" in lines
    assert not any("database" in line for line in lines[6:])


def test_the_preview_says_whether_the_database_is_made_or_filled() -> None:
    now = datetime(2026, 1, 7, 3, 10, tzinfo=UTC)
    chosen = (point(7), (point(7),), APART, ("a1", "a2", "edge"))
    (made,) = (line for line in preview(*chosen, False, now) if line.startswith("database shop"))
    assert made.startswith("database shop is made: owner app, UTF8, the server's own locale; settings and grants")
    assert "database shop is there and empty" in preview(*chosen, True, now)
