"""One line per figure, `name value target ok|short`, and exit status 1 when one is short.

Belongs here: that format, the same for every `make bench-<area>`. Does not: measuring.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured value that should stay under its target; both in `unit`."""

    name: str
    value: float
    target: float
    unit: str

    @property
    def short(self) -> bool:
        """Whether the target was missed."""
        return self.value >= self.target


def report(figures: Iterable[Figure]) -> int:
    """Print every figure; return the exit status."""
    shown = list(figures)
    for each in shown:
        verdict = "short" if each.short else "ok"
        print(f"{each.name} {each.value:.3f}{each.unit} <{each.target:g}{each.unit} {verdict}")
    return int(any(each.short for each in shown))
