"""Shares of the clients: rising ones contain each other, and the tester's cookies do what they say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.observed import Slot
from fabfile.model.share import CANARY, STABLE, Share

SLOTS: st.SearchStrategy[Slot] = st.sampled_from(("blue", "green"))
BUCKETS = {str(bucket) for bucket in range(1, 101)}


def on_canary(share: Share) -> set[str]:
    """The buckets that get the slot of the few."""
    green = set(share.to_green)
    return (green if share.live == "blue" else {*BUCKETS, CANARY, STABLE} - green) if share.percent else set()


@given(live=SLOTS, percent=st.integers(0, 99))
def test_a_name_comes_back_as_its_share(live: Slot, percent: int) -> None:
    assert Share.parse(Share(live, percent).name) == Share(live, percent)


@given(live=SLOTS, percent=st.integers(1, 99))
def test_as_many_buckets_as_percent_get_the_canary_and_testers_choose(live: Slot, percent: int) -> None:
    found = on_canary(Share(live, percent))
    assert len(found & BUCKETS) == percent
    assert CANARY in found
    assert STABLE not in found


@given(live=SLOTS, first=st.integers(1, 98), more=st.integers(1, 98))
def test_whoever_is_in_a_small_canary_is_in_a_larger_one(live: Slot, first: int, more: int) -> None:
    assert on_canary(Share(live, first)) <= on_canary(Share(live, min(99, first + more)))


@given(live=SLOTS)
def test_without_a_canary_everybody_gets_the_live_slot_testers_too(live: Slot) -> None:
    assert set(Share(live).to_green) == ({*BUCKETS, CANARY, STABLE} if live == "green" else set())


def test_what_is_no_name_is_no_share() -> None:
    for text in ("", "red", "blue-0", "blue-100", "blue-", "green-7x"):
        assert Share.parse(text) is None
