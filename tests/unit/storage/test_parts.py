"""Streams are cut into equal parts, whatever the chunks."""

from __future__ import annotations

import threading
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.storage.parts import Halted, Tally, cut


@given(st.lists(st.binary(max_size=40)), st.integers(1, 17))
def test_parts_are_equal_but_the_last_and_hold_the_stream(chunks: list[bytes], size: int) -> None:
    parts = list(cut(chunks, size, threading.Event()))
    assert b"".join(part.read() for part in parts) == b"".join(chunks)
    assert all(part.size == size for part in parts[:-1])
    assert all(0 < part.size <= size for part in parts[-1:])


@given(st.lists(st.binary(max_size=40)))
def test_the_tally_is_of_what_has_passed(chunks: list[bytes]) -> None:
    tally = Tally()
    data = b"".join(tally.weighed(chunks))
    stored = tally.stored("key")
    assert (stored.size, stored.sha256) == (len(data), sha256(data).hexdigest())


def test_a_part_of_an_upload_given_up_reads_no_further() -> None:
    halt = threading.Event()
    (part,) = cut([b"abcdef"], 10, halt)
    assert part.read(3) == b"abc"
    halt.set()
    with pytest.raises(Halted):
        part.read(3)
