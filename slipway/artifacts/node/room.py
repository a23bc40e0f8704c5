"""Which entries of the node cache must go so that another fits.

Belongs here: the pure choice. Does not: removing anything (node_cache.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Held:
    """One entry of the cache as it lies on disk. `last_used` only orders entries."""

    entry: str
    size_bytes: int
    last_used: float


def candidates(held: Iterable[Held]) -> list[Held]:
    """Entries in the order in which they may go: least recently used first."""
    return sorted(held, key=lambda each: (each.last_used, each.entry))


def lacking_bytes(needed: int, *, used: int, bound: int, disk_free: int) -> int:
    """Bytes to free before `needed` more fit under the bound and on the disk; zero or less when they do."""
    return max(used + needed - bound, needed - disk_free)
