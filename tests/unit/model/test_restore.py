"""Names of what restores keep: short enough, told apart, and read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.restore import beside_database, kept_database, kept_prefix, run_that_kept

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1, max_size=63)
RUNS = st.from_regex(r"\A20[0-9]{6}T[0-9]{6}-[0-9a-f]{4}\Z")


@given(live=NAMES, run=RUNS)
def test_a_former_database_tells_its_run_and_fits(live: str, run: str) -> None:
    name = kept_database(live, run)
    assert len(name) <= 63
    assert name.startswith(kept_prefix(live))
    assert run_that_kept(live, name) == run
    assert run_that_kept(live, beside_database(live, run)) is None
    assert len(beside_database(live, run)) <= 63


@given(start=st.text("abc", min_size=50, max_size=55), one=st.text("xyz", max_size=6), two=st.text("xyz", max_size=6))
def test_long_names_that_begin_alike_do_not_claim_each_others_databases(start: str, one: str, two: str) -> None:
    name = kept_database(start + one, "20250131T030000-0a1b")
    assert (run_that_kept(start + two, name) is None) == (one != two)


def test_a_database_that_somebody_named_alike_is_not_ours() -> None:
    for name in (
        "shop_before_christmas",
        "shop",
        "shop_before_20250131t030000_0A1B",
        "shop_before_20250131t030000_0a1b2",
    ):
        assert run_that_kept("shop", name) is None
    assert kept_database("shop", "20250131T030000-0a1b") == "shop_before_20250131t030000_0a1b"
