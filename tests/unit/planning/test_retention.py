"""Retention: what may go, what never does, and that pruning often is the same as pruning once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.config.backup import RetentionSettings
from fabfile.model.holdings import Archive, Holdings, Unlisted
from fabfile.model.recovery_point import Kind, RecoveryPoint, StoredPart, utc
from fabfile.planning.retention import judge, plan_prune, taken

NOW = datetime(2025, 3, 30, 12, 0, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RULES = RetentionSettings()
BROAD = RetentionSettings.model_validate({"weekly": "90d", "monthly": "365d", "yearly": "3650d", "min_keep": 1})
SLOTS: dict[str, Callable[[datetime], object]] = {
    "six_hourly": lambda at: int(at.timestamp() // 21600),
    "daily": lambda at: int(at.timestamp() // 86400),
    "weekly": lambda at: at.date() - timedelta(days=at.weekday()),
    "monthly": lambda at: at.strftime("%Y-%m"),
    "yearly": lambda at: at.strftime("%Y"),
}


def point(
    number: int, age: timedelta = DAY, verified: bool = True, kind: Kind = "full", keep: bool = False, release: str = ""
) -> RecoveryPoint:
    part = StoredPart("release", f"r/releases/{release}.tar.zst", 5, "a" * 64)
    return RecoveryPoint(
        format=1,
        number=number,
        app="example",
        environment="demo",
        kind=kind,
        reason="by hand",
        created_at=utc(NOW - age),
        release=release or None,
        release_digest=None,
        run="r",
        seconds=0.0,
        objects=(part,) if release else (),
        verified_at=utc(NOW) if verified else None,
        keep_forever=keep,
    )


AGES = st.one_of(
    st.integers(-3 * 86400, 40 * 86400),
    st.integers(-3 * 86400, 900 * 86400),
    st.sampled_from([0, 1, 21600, 86400, 7 * 86400, 7 * 86400 + 1, 30 * 86400, 30 * 86400 + 1]),
).map(lambda seconds: timedelta(seconds=seconds))
TRAITS = st.tuples(AGES, st.booleans(), st.sampled_from(["full", "database", "files"]), st.integers(0, 9))
POINTS = st.lists(TRAITS, max_size=20).map(
    lambda found: [
        point(number, age, verified, kind, keep=mark == 0)  # type: ignore[arg-type]  # the kinds are of the sample above
        for number, (age, verified, kind, mark) in enumerate(found, 1)
    ]
)
SPAN = st.none() | st.integers(1, 400).map(lambda days: f"{days}d")
ANY_RULES = st.fixed_dictionaries(
    {**dict.fromkeys(SLOTS, SPAN), "unverified": st.sampled_from(["1h", "1d", "7d"]), "min_keep": st.integers(1, 5)}
).map(RetentionSettings.model_validate)


def kept(points: list[RecoveryPoint], rules: RetentionSettings = RULES, now: datetime = NOW) -> set[int]:
    return {judged.point.number for judged in judge(points, rules, now) if judged.keep}


def verified_of(points: list[RecoveryPoint], kind: str) -> list[RecoveryPoint]:
    """Those that count, newest first."""
    found = [p for p in points if p.kind == kind and p.verified_at and taken(p) <= NOW]
    return sorted(found, key=lambda p: (taken(p), p.number), reverse=True)


@given(POINTS, ANY_RULES)
def test_every_backup_is_judged_once_newest_first(points: list[RecoveryPoint], rules: RetentionSettings) -> None:
    judged = [found.point for found in judge(points, rules, NOW)]
    assert judged == sorted(points, key=lambda p: (taken(p), p.number), reverse=True)


@given(POINTS, ANY_RULES)
def test_the_newest_verified_ones_of_each_kind_stay(points: list[RecoveryPoint], rules: RetentionSettings) -> None:
    for kind in ("full", "database", "files"):
        newest = verified_of(points, kind)[: rules.min_keep]
        assert {p.number for p in newest} <= kept(points, rules)


@given(POINTS, ANY_RULES)
def test_each_slot_within_its_span_keeps_its_newest_verified_backup(
    points: list[RecoveryPoint], rules: RetentionSettings
) -> None:
    stay = kept(points, rules)
    for kind in ("full", "database", "files"):
        for key, slot in SLOTS.items():
            span = getattr(rules, key)
            if span is None:
                continue
            recent = [p for p in verified_of(points, kind) if (NOW - taken(p)).total_seconds() <= span]
            newest = {slot(taken(p)): p.number for p in reversed(recent)}
            assert set(newest.values()) <= stay


@given(POINTS, ANY_RULES)
def test_a_verified_backup_goes_only_when_no_rule_wants_it(
    points: list[RecoveryPoint], rules: RetentionSettings
) -> None:
    for kind in ("full", "database", "files"):
        found = verified_of(points, kind)
        wanted = {p.number for p in found[: rules.min_keep]} | {p.number for p in found if p.keep_forever}
        for key, slot in SLOTS.items():
            span = getattr(rules, key)
            for p in found if span is not None else ():
                rivals = [other for other in found if slot(taken(other)) == slot(taken(p))]
                if rivals[0] == p and (NOW - taken(p)).total_seconds() <= span:
                    wanted.add(p.number)
        assert {p.number for p in found} & kept(points, rules) == wanted


@given(POINTS, ANY_RULES)
def test_an_unverified_backup_goes_only_when_it_is_old_and_a_newer_one_is_verified(
    points: list[RecoveryPoint], rules: RetentionSettings
) -> None:
    stay = kept(points, rules)
    for p in points:
        if p.verified_at or taken(p) > NOW:
            continue
        newest = verified_of(points, p.kind)[:1]
        superseded = bool(newest) and (taken(newest[0]), newest[0].number) > (taken(p), p.number)
        old = (NOW - taken(p)).total_seconds() >= rules.unverified
        assert (p.number in stay) == (p.keep_forever or not (superseded and old))


@given(POINTS, ANY_RULES)
def test_what_is_marked_or_dated_in_the_future_stays(points: list[RecoveryPoint], rules: RetentionSettings) -> None:
    assert {p.number for p in points if p.keep_forever or taken(p) > NOW} <= kept(points, rules)


@given(POINTS, POINTS, ANY_RULES)
def test_backups_that_do_not_count_change_nothing_for_verified_ones(
    points: list[RecoveryPoint], others: list[RecoveryPoint], rules: RetentionSettings
) -> None:
    idle = [replace(p, number=p.number + 1000) for p in others if not p.verified_at or taken(p) > NOW]
    verified = {p.number for p in points if p.verified_at}
    assert kept([*points, *idle], rules) & verified == kept(points, rules) & verified


@given(POINTS, ANY_RULES)
def test_pruning_again_deletes_nothing_more(points: list[RecoveryPoint], rules: RetentionSettings) -> None:
    stay = kept(points, rules)
    assert kept([p for p in points if p.number in stay], rules) == stay


@given(POINTS, st.integers(-14, 14))
def test_the_zone_of_the_clock_is_of_no_importance(points: list[RecoveryPoint], hours: int) -> None:
    there = NOW.astimezone(timezone(timedelta(hours=hours)))
    assert judge(points, BROAD, there) == judge(points, BROAD, NOW)


def simulated(rules: RetentionSettings, days: int) -> list[RecoveryPoint]:
    """What is left after a backup and a prune every six hours, up to now."""
    have: list[RecoveryPoint] = []
    for number in range(4 * days, -1, -1):
        now = NOW - number * 6 * HOUR
        have.append(point(4 * days - number + 1, NOW - now))
        stay = kept(have, rules, now)
        have = [p for p in have if p.number in stay]
    return have


def test_after_months_of_six_hourly_backups_there_are_7_days_of_them_and_30_of_daily_ones() -> None:
    ages = [(NOW - taken(p)) / DAY for p in simulated(RULES, 60)]
    assert [age for age in ages if age <= 7] == [number / 4 for number in range(28, -1, -1)]
    older = [age for age in ages if age > 7]
    assert len(older) == 23
    assert all(first - second == 1 for first, second in pairwise(older))


def test_each_slot_ever_filled_stays_filled_while_prunes_go_on() -> None:
    """Also across the turn of the year and the change of the clock."""
    left = [taken(p) for p in simulated(BROAD, 130)]
    for key, slot in SLOTS.items():
        span = timedelta(seconds=getattr(BROAD, key))
        all_of_them = [NOW - number * 6 * HOUR for number in range(4 * 130 + 1)]
        wanted = {slot(at) for at in all_of_them if NOW - at <= span}
        # a slot that began before the span does may have nothing in it but what is older
        assert wanted <= {slot(at) for at in left}


def test_a_dump_alone_does_not_stand_for_a_full_backup() -> None:
    assert kept([point(1, 40 * DAY), point(2, 39 * DAY, kind="database")]) == {1, 2}


@pytest.mark.parametrize(("age", "stays"), [(DAY, True), (6 * DAY, True), (7 * DAY, False), (8 * DAY, False)])
def test_an_unverified_backup_has_its_time_to_be_verified(age: timedelta, stays: bool) -> None:
    assert (1 in kept([point(1, age, verified=False), point(2, HOUR)])) == stays


def test_where_nothing_is_verified_nothing_goes_and_that_is_said() -> None:
    points = [point(number, number * 10 * DAY, verified=False) for number in range(1, 9)]
    plan = plan_prune(holdings(*points), RULES, NOW)
    assert plan.empty
    assert any("inv backup.verify" in note for note in plan.notes)


def test_the_reason_is_told() -> None:
    points = [
        point(1, 60 * DAY),
        point(2, 60 * DAY, keep=True),
        point(3, -DAY),
        point(4, 20 * DAY, verified=False),
        *(point(number, HOUR) for number in (5, 6, 7, 8)),
    ]
    whys = {judged.point.number: judged.why for judged in judge(points, RULES, NOW)}
    assert whys[2] == "kept forever"
    assert whys[3] == "dated in the future: ignored"
    assert whys[4] == "not verified within 7 d, so it fills no slot"
    assert whys[7] == "one of the newest 3 verified"
    assert whys[8] == "newest verified of its 6 hours, day"
    assert {number for number, why in whys.items() if why.startswith("newer verified")} == {1, 5}


def test_what_an_unfinished_run_needs_stays() -> None:
    points = [point(1, 60 * DAY), *(point(number, HOUR) for number in (2, 3, 4))]
    assert [p.number for p in plan_prune(holdings(*points), RULES, NOW).doomed] == [1]
    assert plan_prune(holdings(*points), RULES, NOW, needed={1, 99}).empty


def holdings(
    *points: RecoveryPoint,
    damaged: dict[int, RecoveryPoint | None] | None = None,
    unlisted: tuple[Unlisted, ...] = (),
    archives: tuple[str, ...] = (),
) -> Holdings:
    kept = tuple(Archive(release, (f"r/releases/{release}.tar.zst",), 5) for release in archives)
    return Holdings(points, damaged or {}, unlisted, kept)


def gone(plan_of: Holdings) -> list[str]:
    return [archive.release for archive in plan_prune(plan_of, RULES, NOW).archives]


def test_an_archive_goes_with_the_last_backup_that_has_it() -> None:
    recent = [point(number, HOUR, release="2.0") for number in (7, 8, 9)]
    old = point(1, 60 * DAY, release="1.0")
    assert gone(holdings(*recent, old, archives=("0.9", "1.0", "2.0"))) == ["0.9", "1.0"]
    assert gone(holdings(*recent, replace(old, keep_forever=True), archives=("1.0", "2.0"))) == []


def pushed(release: str, age: timedelta) -> Archive:
    return Archive(release, (f"r/releases/{release}.tar.zst",), 5, NOW - age)


def test_what_a_build_stored_waits_a_month_for_its_deploy_and_the_newest_of_it_for_ever() -> None:
    there = (pushed("1.0", 31 * DAY), pushed("1.1", 29 * DAY), pushed("1.2", HOUR), Archive("0.9", ("k",), 5))
    assert gone(Holdings((), {}, (), there)) == ["1.0", "0.9"]
    assert gone(Holdings((), {}, (), there[:1])) == []
    assert gone(Holdings((), {}, (), (pushed("1.0", 40 * DAY), pushed("1.1", 50 * DAY)))) == ["1.1"]


@given(st.lists(st.tuples(st.integers(0, 90), st.booleans()), max_size=8))
def test_no_release_goes_that_a_backup_has_or_that_was_stored_within_a_month(traits: list[tuple[int, bool]]) -> None:
    names = [f"{number}.0" for number in range(len(traits))]
    there = tuple(pushed(name, days * DAY) for name, (days, _) in zip(names, traits, strict=True))
    used = [
        point(number, HOUR, keep=True, release=name)
        for number, (name, (_, used)) in enumerate(zip(names, traits, strict=True), 1)
        if used
    ]
    found = set(gone(Holdings(tuple(used), {}, (), there)))
    assert found == {
        name
        for name, (days, used) in zip(names, traits, strict=True)
        if not used and days >= 30 and days != min(age for age, _ in traits)
    }


def test_a_damaged_backup_keeps_its_archive_and_an_unreadable_one_all_of_them() -> None:
    damaged = point(1, 60 * DAY, release="1.0")
    assert gone(holdings(damaged={1: damaged}, archives=("0.9", "1.0"))) == ["0.9"]
    assert gone(holdings(damaged={1: None}, archives=("0.9", "1.0"))) == []


def test_no_archive_goes_while_a_backup_may_be_under_way() -> None:
    for age, left in ((HOUR, []), (25 * HOUR, ["1.0"])):
        claim = Unlisted(4, (), 0, NOW - age)
        assert gone(holdings(unlisted=(claim,), archives=("1.0",))) == left


def test_leftovers_go_a_day_after_the_last_of_them_was_stored() -> None:
    old = Unlisted(4, ("k/000004/database",), 10, NOW - DAY)
    young = Unlisted(5, ("k/000005/database",), 10, NOW - DAY + HOUR)
    future = Unlisted(6, ("k/000006/database",), 10, NOW + DAY)
    claim = Unlisted(7, (), 0, NOW - 9 * DAY)
    assert plan_prune(holdings(unlisted=(old, young, future, claim)), RULES, NOW).unlisted == (old,)


def test_what_pgbackrest_has_let_go_is_deleted_and_stands_for_nothing() -> None:
    whole, over = point(2, 2 * DAY), point(1, 3 * DAY)
    held = Holdings((whole,), {}, (), (Archive("1.0", ("k",), 5),), (over, point(3, -DAY)))
    found = plan_prune(held, RULES, NOW)
    assert found.doomed == (over,)
    assert "pgBackRest has let its server go" in found.judgements[-1].why
    assert plan_prune(held, RULES, NOW, needed={1}).doomed == ()
    assert all(judged.keep for judged in judge([whole], RULES, NOW, (), ()))
