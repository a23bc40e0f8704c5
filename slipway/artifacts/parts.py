"""How files are cut into parts, and how many parts may be in memory.

Belongs here: arithmetic. Does not: moving a byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MIB = 2**20
# S3: at most 10,000 parts of 5 MiB to 5 GiB each. Staying under 9,000 leaves room for stores that count less.
MOST_PARTS = 9_000
SMALLEST_PART_BYTES = 5 * MIB


@dataclass(frozen=True)
class TransferLimits:
    """Bounds of one pull: `memory_bytes` holds all parts in flight, `parts_in_flight` at most."""

    part_bytes: int = 8 * MIB
    parts_in_flight: int = 8
    memory_bytes: int = 256 * MIB

    def workers(self, largest_part_bytes: int) -> int:
        """Parts in flight so that their buffers stay within memory; at least two keep both ends busy."""
        return max(2, min(self.parts_in_flight, self.memory_bytes // max(1, largest_part_bytes)))


@dataclass(frozen=True)
class Part:
    """A range of one file: `number` counts from 1 as in S3, `file` is its place in the list of files."""

    file: int
    number: int
    offset: int
    length: int


def part_bytes(size_bytes: int, limits: TransferLimits) -> int:
    """Size of a file's parts: the usual size, or larger in whole MiB where there would be too many."""
    needed = -(-size_bytes // MOST_PARTS)
    return max(limits.part_bytes, SMALLEST_PART_BYTES, -(-needed // MIB) * MIB)


def cut(sizes_bytes: Sequence[int], limits: TransferLimits) -> Iterator[Part]:
    """All parts of all files, file after file and in order; an empty file is one part of no bytes."""
    for place, size_bytes in enumerate(sizes_bytes):
        step = part_bytes(size_bytes, limits)
        for number, offset in enumerate(range(0, max(1, size_bytes), step), start=1):
            yield Part(place, number, offset, min(step, size_bytes - offset))


def count_parts(size_bytes: int, limits: TransferLimits) -> int:
    """How many parts `cut` makes of a file."""
    return max(1, -(-size_bytes // part_bytes(size_bytes, limits)))
