"""Units as people read them: how much of one was used, and what so many of it cost.

Belongs here: a unit's name, and by how many of it the catalog states prices.
Does not: what is counted as one (docs/metering.md), amounts of money (money.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

_PICO = -12  # prices are in 10^-12 of the currency for one


@dataclass(frozen=True)
class Unit:
    """`name` of what `quantity` shows, and `priced_by` as many of those that are counted as `per` says."""

    name: str
    priced_by: int
    per: str
    decimals: int = 0  # quantities are shown in 10^decimals of what is counted

    def quantity(self, counted: int) -> str:
        """Such as `1,234,567`, or `12.345` seconds of 12345 ms."""
        return format(Decimal(counted).scaleb(-self.decimals), ",f")

    def price(self, pico: int) -> str:
        """Such as `0.15 per 1M`: exact, of the price in 10^-12 of the currency for one that is counted."""
        whole = Decimal(pico * self.priced_by).scaleb(_PICO).normalize()
        return f"{whole:,f} per {self.per}"


class _Topped(Unit):
    """Requests that cost less than the least: what they lacked together has no price of each."""

    def price(self, pico: int) -> str:
        return "up to it"


_MILLION, _MINUTE_MS = 10**6, 60_000
_UNITS = {
    "input_uncached": Unit("input tokens", _MILLION, "1M"),
    "input_cached": Unit("cached input tokens", _MILLION, "1M"),
    "output": Unit("output tokens", _MILLION, "1M"),
    "input_audio_ms": Unit("seconds of audio in", _MINUTE_MS, "minute", 3),
    "output_audio_ms": Unit("seconds of audio out", _MINUTE_MS, "minute", 3),
    "characters": Unit("characters", _MILLION, "1M"),
    "minimum": _Topped("requests below their minimum", 1, "request"),
    "documents": Unit("documents", 1000, "1,000"),
    "searches": Unit("searches", 1000, "1,000"),
}


def unit(name: str) -> Unit:
    """The unit of a line; one that this version does not know is shown as it is counted."""
    return _UNITS.get(name) or Unit(name, 1, "one")
