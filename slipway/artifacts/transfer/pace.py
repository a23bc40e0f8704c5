"""How slow a connection may be: one that trickles is given up for another, as it would never time out.

Belongs here: the bound, and measuring one connection against it.
Does not: opening another (transfer.py tries again), connections that stand still (their time-outs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from slipway.artifacts.transfer.retry import TransientError
from slipway.artifacts.transfer.settings import LEAST_RATE_VARIABLE, positive_number


@dataclass(frozen=True)
class Pace:
    """A connection must bring so many bytes per second in each window; 0 bears with any.

    `stated_in`: which setting to name to people, in brackets.
    """

    least_bytes_per_s: float = 16 * 1024
    window_s: float = 30.0
    stated_in: str = ""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> Pace:
        """The bound that the environment states. Raises ArtifactError for no number."""
        least = positive_number(variables, LEAST_RATE_VARIABLE, cls.least_bytes_per_s)
        return cls(least, stated_in=f" ({LEAST_RATE_VARIABLE})")


class Paced:
    """One connection, measured from now on."""

    def __init__(self, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._pace, self._clock = pace, clock
        self._since, self._bytes = clock(), 0

    def moved(self, size_bytes: int, what: str) -> None:
        """Count bytes. Raises TransientError when a window ends with too few of them."""
        self._bytes += size_bytes
        now = self._clock()
        elapsed_s = now - self._since
        if elapsed_s < self._pace.window_s:
            return
        if self._bytes < self._pace.least_bytes_per_s * elapsed_s:
            raise TransientError(
                f"{what}: {self._bytes} bytes in {elapsed_s:.0f} s, which is slower than "
                f"{self._pace.least_bytes_per_s:g} bytes per second{self._pace.stated_in}: the connection "
                "is given up for another."
            )
        self._since, self._bytes = now, 0
