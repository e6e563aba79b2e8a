"""How an upload is cut: within the limits of S3, for the size that was stated, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabfile.storage.upload import LEAST_PART, MEMORY, MIB, MOST_PARTS, Terms

TIB = 1 << 40


def terms(max_size: int) -> Terms:
    return Terms("s3://b", max_size, {}, send_md5=False)


@given(st.one_of(st.integers(1, 5 * TIB), st.sampled_from([LEAST_PART * MOST_PARTS, LEAST_PART * MOST_PARTS + 1])))
def test_the_largest_object_fits_into_the_parts_and_these_into_memory(max_size: int) -> None:
    found = terms(max_size)
    assert found.part_size * MOST_PARTS >= max_size
    assert found.part_size >= LEAST_PART
    assert found.part_size % MIB == 0
    assert found.part_size == LEAST_PART or (found.part_size - MIB) * MOST_PARTS < max_size
    assert 1 <= found.in_flight <= 4
    assert (found.in_flight + 1) * found.part_size <= max(MEMORY, 2 * found.part_size)


@pytest.mark.parametrize(("size", "part", "flying"), [(100 << 30, 11, 4), (TIB, 105, 2), (5 * TIB, 525, 1)])
def test_parts_for_sizes_that_people_state(size: int, part: int, flying: int) -> None:
    assert (terms(size).part_size, terms(size).in_flight) == (part * MIB, flying)
