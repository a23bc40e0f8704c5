"""Room on disk for requests in flight: a file of slots, each of which holds one usage event, written over.

Belongs here: the file. Does not: what becomes of the events in it (spool.py).

A slot is written with zeros before it is given away, so writing an event into it later needs no more room.
The first line of a slot counts; a slot that begins with a zero is empty.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

SLOT_BYTES = 8_192  # an event with the longest names that there can be has some 5,000
GROWTH = 32


class Slots:
    """The slots of one directory. Not safe for threads: its spool takes care of that."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises OSError."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._count = os.fstat(self._file).st_size // SLOT_BYTES
        self._empty: list[int] = []
        self.left: dict[int, bytes] = {}  # what was in a slot when the file was opened
        for slot in range(self._count):
            line, end, _ = os.pread(self._file, SLOT_BYTES, slot * SLOT_BYTES).partition(b"\n")
            if end and not line.startswith(b"\0"):
                self.left[slot] = line + end
            else:
                self._empty.append(slot)
        if not self.left and self._count > GROWTH:  # room for the busiest hour of the process before
            os.ftruncate(self._file, GROWTH * SLOT_BYTES)
            self._count, self._empty = GROWTH, list(range(GROWTH))

    def take(self) -> int:
        """An empty slot. Raises OSError when there is none and no room for more."""
        if not self._empty:
            self._grow()
        return self._empty.pop()

    def write(self, slot: int, line: bytes) -> None:
        """Put a line in place of the one that is in the slot. Raises OSError."""
        if len(line) > SLOT_BYTES:
            raise OSError(f"an event of {len(line)} bytes is larger than a slot of {SLOT_BYTES}")
        if os.pwrite(self._file, line, slot * SLOT_BYTES) != len(line):
            raise OSError("the disk took a part of an event")

    def clear(self, slot: int) -> None:
        """Empty a slot. Raises OSError."""
        os.pwrite(self._file, b"\0", slot * SLOT_BYTES)

    def give_back(self, slot: int) -> None:
        """A slot that is empty may be taken again."""
        self._empty.append(slot)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _grow(self) -> None:
        start, size_bytes = self._count * SLOT_BYTES, GROWTH * SLOT_BYTES
        try:
            if os.pwrite(self._file, bytes(size_bytes), start) != size_bytes:
                raise OSError("no room for more requests in flight")
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, start)
            raise
        self._empty += range(self._count + GROWTH - 1, self._count - 1, -1)
        self._count += GROWTH
