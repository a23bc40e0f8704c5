"""One line per figure, `name value target ok|short`, and exit status 1 when one is short.

Belongs here: that format, the same for every `make bench-<area>`. Does not: measuring.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """A measured value in `unit`, and what it should stay below or, with `bound="least"`, reach."""

    name: str
    value: float
    target: float
    unit: str
    bound: Literal["below", "least"] = "below"

    @property
    def short(self) -> bool:
        """Whether the target was missed."""
        return self.value < self.target if self.bound == "least" else self.value >= self.target

    def __str__(self) -> str:
        sign = ">=" if self.bound == "least" else "<"
        verdict = "short" if self.short else "ok"
        return f"{self.name} {self.value:.3f}{self.unit} {sign}{self.target:g}{self.unit} {verdict}"


def report(figures: Iterable[Figure]) -> int:
    """Print every figure as it comes; return the exit status."""
    status = 0
    for each in figures:
        print(each, flush=True)
        status |= int(each.short)
    return status
