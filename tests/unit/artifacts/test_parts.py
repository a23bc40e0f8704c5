from itertools import pairwise

import pytest

from slipway.artifacts.transfer.parts import (
    MIB,
    SMALLEST_PART_BYTES,
    TransferLimits,
    cut,
    cut_for_copy,
)

LIMITS = TransferLimits()
TB = 10**12
SIZES = [0, 1, 5 * MIB, 5 * MIB + 1, 100 * MIB, 5 * 2**30, 70_000 * MIB, TB, 5 * TB, 5 * 2**40]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_no_file_has_as_many_parts_as_s3_refuses(size_bytes: int) -> None:
    for how in (cut(size_bytes, LIMITS), cut_for_copy(size_bytes, LIMITS)):
        assert 1 <= how.count < 10_000
        assert SMALLEST_PART_BYTES <= how.step_bytes <= 5 * 2**30
        assert how.step_bytes % MIB == 0


@pytest.mark.parametrize("size_bytes", SIZES)
def test_parts_cover_a_file_exactly_once_and_in_order(size_bytes: int) -> None:
    how = cut(size_bytes, LIMITS)
    numbers = range(1, how.count + 1)
    assert how.offset(1) == 0
    assert all(how.offset(one) + how.length(one) == how.offset(two) for one, two in pairwise(numbers))
    assert how.offset(how.count) + how.length(how.count) == size_bytes


@pytest.mark.parametrize("size_bytes", SIZES)
def test_buffers_stay_within_memory_whatever_the_size_of_a_file(size_bytes: int) -> None:
    largest = min(size_bytes, cut(size_bytes, LIMITS).step_bytes)
    assert 2 <= LIMITS.workers(largest) <= LIMITS.parts_in_flight
    assert LIMITS.workers(largest) * LIMITS.buffer_bytes(largest) <= LIMITS.memory_bytes


def test_parts_are_small_where_a_kill_would_cost_most_and_of_the_usual_size_in_large_files() -> None:
    assert cut(2**30, LIMITS).step_bytes == SMALLEST_PART_BYTES
    assert cut(5 * 2**30, LIMITS).step_bytes == LIMITS.part_bytes
    assert cut(5 * 2**30, TransferLimits(part_bytes=MIB)).step_bytes == SMALLEST_PART_BYTES
