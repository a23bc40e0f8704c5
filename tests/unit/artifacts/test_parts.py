from itertools import pairwise

import pytest

from slipway.artifacts.parts import MIB, Part, TransferLimits, count_parts, cut, part_bytes

LIMITS = TransferLimits()
TB = 10**12


@pytest.mark.parametrize("size_bytes", [0, 1, 8 * MIB, 8 * MIB + 1, 100 * MIB, 70_000 * MIB, TB, 40 * TB])
def test_no_file_has_as_many_parts_as_s3_refuses(size_bytes: int) -> None:
    assert 1 <= count_parts(size_bytes, LIMITS) < 10_000
    assert 5 * MIB <= part_bytes(size_bytes, LIMITS) <= 5 * 2**30


def test_parts_cover_each_file_exactly_once_and_in_order() -> None:
    sizes = [0, 1, 8 * MIB, 20 * MIB + 7]
    parts = list(cut(sizes, LIMITS))
    for place, size_bytes in enumerate(sizes):
        mine = [part for part in parts if part.file == place]
        assert [part.number for part in mine] == list(range(1, count_parts(size_bytes, LIMITS) + 1))
        assert mine[0].offset == 0
        assert all(before.offset + before.length == after.offset for before, after in pairwise(mine))
        assert mine[-1].offset + mine[-1].length == size_bytes
    assert [part.file for part in parts] == sorted(part.file for part in parts)
    assert parts[0] == Part(0, 1, 0, 0)


@pytest.mark.parametrize("size_bytes", [8 * MIB, 200 * 2**30, TB])
def test_parts_in_flight_stay_within_memory(size_bytes: int) -> None:
    largest = part_bytes(size_bytes, LIMITS)
    assert 2 <= LIMITS.workers(largest) <= LIMITS.parts_in_flight
    assert LIMITS.workers(largest) * largest <= LIMITS.memory_bytes
