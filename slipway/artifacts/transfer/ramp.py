"""Slow start: how much may be under way at once, so that a kill costs little of what was fetched.

Belongs here: the pure rule, and holding work back by it.
Does not: the work (transfer.py).

What is under way when a process is killed is fetched again. One part, plus an eighth of what this run has
brought so far, bounds that by 12.5 % of everything and one part for each kill.
"""

from __future__ import annotations

import threading

from slipway.artifacts.transfer.parts import SMALLEST_PART_BYTES
from slipway.artifacts.transfer.workers import Stop

_SHARE = 8


def may_start(next_bytes: int, under_way_bytes: int, brought_bytes: int) -> bool:
    """True when that many more bytes may be under way; one piece of work always may."""
    room_bytes = SMALLEST_PART_BYTES + brought_bytes // _SHARE
    return under_way_bytes == 0 or under_way_bytes + next_bytes <= room_bytes


class Ramp:
    """Counts what is under way in one run. Safe to share between threads."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._changed = threading.Condition()
        self._under_way_bytes = self._brought_bytes = 0

    def begin(self, size_bytes: int) -> None:
        """Wait until this many bytes may be under way. Call it in the order in which work is handed out."""
        with self._changed:
            while not may_start(size_bytes, self._under_way_bytes, self._brought_bytes):
                self._stop.check()
                self._changed.wait(timeout=0.5)
            self._under_way_bytes += size_bytes

    def end(self, size_bytes: int, *, brought: bool) -> None:
        """They are no longer under way; `brought` when the store keeps them, whatever happens to us."""
        with self._changed:
            self._under_way_bytes -= size_bytes
            self._brought_bytes += size_bytes if brought else 0
            self._changed.notify_all()
