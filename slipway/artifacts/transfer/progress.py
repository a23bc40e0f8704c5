"""How far a transfer is: bytes done and in all, rate, and when it will end.

Belongs here: counting and arithmetic.
Does not: showing it; a terminal, a run log and a test each do that their way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_WINDOW_S = 15.0
# As long as a line of a log takes to come round.
_WAITING_SHOWN_S = 5.0


@dataclass(frozen=True)
class Progress:
    """One look at a transfer. `rate_bytes_per_s` is over the last seconds; files found done are not in it.

    `done_bytes` counts what was found done and `moved_bytes`, which this run transferred. `waiting`: what
    failed and is tried again, while nothing moves.
    """

    done_bytes: int
    total_bytes: int
    done_files: int
    total_files: int
    rate_bytes_per_s: float
    elapsed_s: float
    moved_bytes: int = 0
    waiting: str | None = None

    @property
    def fraction(self) -> float:
        """Part that is done, 0 to 1."""
        return self.done_bytes / self.total_bytes if self.total_bytes else 1.0

    @property
    def eta_s(self) -> float | None:
        """Seconds until the end at the present rate; None while nothing moves."""
        left = self.total_bytes - self.done_bytes
        if left <= 0:
            return 0.0
        return left / self.rate_bytes_per_s if self.rate_bytes_per_s > 0 else None


Report = Callable[[Progress], None]


class Meter:
    """Counts what workers move; `look` makes a Progress of it. Safe to share between threads."""

    def __init__(
        self, total_bytes: int, total_files: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._started = clock()
        self._total_bytes, self._total_files = total_bytes, total_files
        self._moved_bytes = self._found_bytes = self._done_files = 0
        self._waiting: str | None = None
        self._waiting_since = 0.0
        self._window: deque[tuple[float, int]] = deque([(self._started, 0)])

    def moved(self, count_bytes: int) -> None:
        """Count bytes that were transferred; negative takes back those of an attempt that failed."""
        with self._lock:
            self._moved_bytes += count_bytes
            if count_bytes > 0 and self._clock() - self._waiting_since >= _WAITING_SHOWN_S:
                self._waiting = None

    def waits(self, cause: str) -> None:
        """Note what is waited for, in one line; it holds until something moves, and for some seconds.

        One worker may wait while others still move what they have.
        """
        with self._lock:
            self._waiting, self._waiting_since = cause, self._clock()

    def found(self, count_bytes: int) -> None:
        """Count bytes that were there already."""
        with self._lock:
            self._found_bytes += count_bytes

    def file_done(self) -> None:
        """Count a file as complete."""
        with self._lock:
            self._done_files += 1

    @property
    def moved_bytes(self) -> int:
        """Bytes transferred so far."""
        with self._lock:
            return self._moved_bytes

    def look(self) -> Progress:
        """How far it is now."""
        with self._lock:
            now = self._clock()
            self._window.append((now, self._moved_bytes))
            while len(self._window) > 2 and now - self._window[1][0] >= _WINDOW_S:
                self._window.popleft()
            since, before = self._window[0]
            rate = (self._moved_bytes - before) / (now - since) if now > since else 0.0
            return Progress(
                done_bytes=self._moved_bytes + self._found_bytes,
                total_bytes=self._total_bytes,
                done_files=self._done_files,
                total_files=self._total_files,
                rate_bytes_per_s=max(0.0, rate),
                elapsed_s=now - self._started,
                moved_bytes=self._moved_bytes,
                waiting=self._waiting,
            )
