"""How files are cut into parts, and how many parts may be in memory.

Belongs here: arithmetic. Does not: moving a byte.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
# S3: at most 10,000 parts of 5 MiB to 5 GiB each. Staying under 9,000 leaves room for stores that count less.
MOST_PARTS = 9_000
SMALLEST_PART_BYTES = 5 * MIB
# What a kill costs is the parts in flight, so they stay small until there are hundreds of them.
_PARTS_BEFORE_THEY_GROW = 400


@dataclass(frozen=True)
class TransferLimits:
    """Bounds of one pull: `memory_bytes` holds all parts in flight, `parts_in_flight` at most.

    `copied_part_bytes`: a copy inside the store takes no memory and a request for each part.
    """

    part_bytes: int = 8 * MIB
    copied_part_bytes: int = 128 * MIB
    parts_in_flight: int = 8
    memory_bytes: int = 256 * MIB

    def buffer_bytes(self, largest_part_bytes: int) -> int:
        """Size of each worker's buffer: a whole part, unless not even two such parts fit into memory."""
        return max(1, min(largest_part_bytes, self.memory_bytes // 2))

    def workers(self, largest_part_bytes: int) -> int:
        """Parts in flight so that their buffers stay within memory; at least two keep both ends busy."""
        buffer_bytes = self.buffer_bytes(largest_part_bytes)
        return max(2, min(self.parts_in_flight, self.memory_bytes // buffer_bytes))


@dataclass(frozen=True)
class Cut:
    """A file cut into parts of `step_bytes`, the last one shorter; numbers count from 1 as in S3."""

    size_bytes: int
    step_bytes: int

    @property
    def count(self) -> int:
        """How many parts; an empty file is one part of no bytes."""
        return max(1, -(-self.size_bytes // self.step_bytes))

    def offset(self, number: int) -> int:
        """First byte of a part."""
        return (number - 1) * self.step_bytes

    def length(self, number: int) -> int:
        """Bytes of a part."""
        return min(self.step_bytes, self.size_bytes - self.offset(number))


def cut(size_bytes: int, limits: TransferLimits) -> Cut:
    """How a file of this size is cut. It depends on nothing else, so the next run cuts it the same way."""
    return Cut(size_bytes, part_bytes(size_bytes, limits))


def cut_for_copy(size_bytes: int, limits: TransferLimits) -> Cut:
    """How a file of this size is cut when the store copies it itself."""
    return Cut(size_bytes, max(limits.copied_part_bytes, SMALLEST_PART_BYTES, _even(size_bytes, MOST_PARTS)))


def part_bytes(size_bytes: int, limits: TransferLimits) -> int:
    """Size of a file's parts: 5 MiB, growing to the usual size, and beyond it where there are too many."""
    small = max(SMALLEST_PART_BYTES, _even(size_bytes, _PARTS_BEFORE_THEY_GROW))
    usual = max(SMALLEST_PART_BYTES, limits.part_bytes)
    return max(min(small, usual), _even(size_bytes, MOST_PARTS))


def _even(size_bytes: int, parts: int) -> int:
    """Whole MiB so that this many parts hold the file."""
    return -(-size_bytes // (parts * MIB)) * MIB
