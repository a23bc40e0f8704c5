"""What is in flight right now: per revision, for rollouts that drain, and per upstream, for choosing one.

Belongs here: two exact counts. Does not: waiting for them to fall (slipway.dataplane).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence


class Gauge:
    """Counts by name; a name at zero is not there. Only the event loop changes it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def enter(self, name: str) -> None:
        """One more."""
        self._counts[name] += 1

    def leave(self, name: str) -> None:
        """One less."""
        self._counts[name] -= 1
        if not self._counts[name]:
            del self._counts[name]

    def counts(self) -> dict[str, int]:
        """All that are above zero."""
        return dict(self._counts)

    def least(self, names: Sequence[str], *, without: Collection[str] = ()) -> str:
        """The name with the lowest count, the first of equals; `without` only when nothing else is left."""
        left = [name for name in names if name not in without] or list(names)
        return min(left, key=lambda name: self._counts.get(name, 0))
