"""The record that a release was verified: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.model.verified import Verified

RECORD = Verified("shop", "staging", "1.0-abc", "a" * 64, "ann@laptop", "2026-11-21T10:00:00+00:00", "r1")
DIGESTS = st.integers(0, (1 << 256) - 1).map(lambda number: f"{number:064x}")
TIMES = st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat())


@given(st.builds(Verified, *[st.text()] * 3, DIGESTS, st.text(), TIMES, st.text(), st.text()))
def test_what_is_written_is_read(record: Verified) -> None:
    assert Verified.from_json(record.to_json()) == record


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "a" * 63},
        {"digest": "A" * 64},
        {"at": "2026-11-21T10:00:00"},
        {"at": "yesterday"},
        {"by": 3},
        {"more": "x"},
    ],
)
def test_anything_else_is_no_record(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Verified.from_json(json.dumps({**asdict(RECORD), **change}).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{}", b"{"])
def test_a_torn_record_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Verified.from_json(text)
