"""The manifest of a recovery point: it comes back as it was written, and nothing else passes for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from fabfile.errors import BadInput
from fabfile.model.database_server import Role
from fabfile.model.recovery_point import DatabaseFacts, Drill, RecoveryPoint, StoredPart, Verification, utc

FACTS = DatabaseFacts(
    "15.18",
    7_000_000,
    "app",
    "UTF8",
    {"plpgsql": "1.0"},
    {"public.items": 3, '"S.x"."T t"': 0},
    (Role("app", ("LOGIN", "CREATEDB"), ("staff",)), Role("staff")),
    "20250131",
)
POINT = RecoveryPoint(
    format=1,
    number=3,
    app="example",
    environment="demo",
    kind="full",
    reason="before deploy 1.2.0-abc",
    created_at="2025-01-31T03:00:00Z",
    release="1.2.0-abc",
    release_digest="a" * 64,
    run="20250131T030000-0a1b",
    seconds=1.25,
    objects=(
        StoredPart("database", "k/database", 10, "b" * 64),
        StoredPart("files:h1", "k/h1", 20, "c" * 64),
        StoredPart("files:h2", "k/h2", 30, "d" * 64),
    ),
    database=FACTS,
    verified_at=None,
)


def test_a_manifest_comes_back_as_it_was_written() -> None:
    assert RecoveryPoint.from_json(POINT.to_json()) == POINT
    bare = replace(POINT, release=None, release_digest=None, database=None, verified_at="2025-02-01T00:00:00Z")
    assert RecoveryPoint.from_json(bare.to_json()) == bare
    marked = replace(POINT, label="before the sale", keep_forever=True)
    assert RecoveryPoint.from_json(marked.to_json()) == marked


def test_a_manifest_without_marks_is_of_a_backup_that_has_none() -> None:
    document = json.loads(POINT.to_json())
    for key in ("label", "keep_forever", "verified_at"):
        del document[key]
    assert RecoveryPoint.from_json(json.dumps(document).encode()) == POINT


def test_what_came_of_trying_it_comes_back_as_it_was_written() -> None:
    drill = Drill("2025-02-01T00:00:00Z", "h1", {"database": 1.5, "healthy": 0.5})
    passed = POINT.judged(Verification("2025-02-01T00:00:00Z", "passed", "ann@laptop", 3.5, (), drill))
    assert RecoveryPoint.from_json(passed.to_json()) == passed
    assert passed.verified_at == "2025-02-01T00:00:00Z"
    failed = passed.judged(Verification("2025-02-02T00:00:00Z", "failed", "ann@laptop", 3.5, ("rows",)))
    assert failed.verified_at is None


def set_to(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document[key] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (set_to("format", 2), "format"),
        (set_to("colour", "red"), "colour"),
        (set_to("number", "3"), "number"),
        (set_to("number", 0), "number"),
        (set_to("kind", "half"), "kind"),
        (set_to("created_at", "2025-01-31T03:00:00+01:00"), "created_at"),
        (set_to("created_at", "2025-13-31T03:00:00Z"), "created_at"),
        (set_to("release_digest", "A" * 64), "release_digest"),
        (lambda document: document.pop("run"), "run"),
        (lambda document: document["objects"][0].update(size=-1), "objects.0.size"),
        (lambda document: document["objects"][0].update(sha256="b" * 63), "objects.0.sha256"),
        (lambda document: document["database"]["tables"].update(items=1.5), "database.tables.items"),
        (set_to("keep_forever", "yes"), "keep_forever"),
        (
            lambda document: document["database"]["roles"][0].update(attributes=["LOGIN; DROP"]),
            "database.roles.0.attributes.0",
        ),
    ],
)
def test_a_manifest_with_one_wrong_value_is_refused_and_says_where(
    change: Callable[[dict[str, Any]], None], named: str
) -> None:
    document = json.loads(POINT.to_json())
    change(document)
    with pytest.raises(BadInput) as refused:
        RecoveryPoint.from_json(json.dumps(document).encode())
    assert [line.split(":")[0] for line in refused.value.details] == [named]


def test_a_manifest_cut_anywhere_is_refused() -> None:
    whole = POINT.to_json().rstrip()
    for length in range(len(whole)):
        with pytest.raises(BadInput):
            RecoveryPoint.from_json(whole[:length])


def test_a_host_without_files_of_its_own_gets_those_of_the_first_one() -> None:
    assert POINT.files("h2") == POINT.objects[2]
    assert POINT.files("new") == POINT.objects[1]
    assert replace(POINT, objects=POINT.objects[:1]).files("h1") is None


def test_moments_are_written_in_utc() -> None:
    there = datetime(2025, 1, 31, 1, 30, 0, 999, timezone(timedelta(hours=2)))
    assert utc(there) == "2025-01-30T23:30:00Z"
