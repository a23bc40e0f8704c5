"""What prices may depend on: the volume of a month, by unit. Tiers, and what is free.

Belongs here: their fields and what can be judged of one alone.
Does not: price books (documents.py), counting a month's volume and rating it (slipway.metering).
"""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, Field

from slipway.catalog.fields import Spec
from slipway.catalog.price_fields import PricePerMillion, PricePerMinute, PricePerThousand

MOST_VOLUME = 10**15  # in milliseconds it still fits what bills count in

Volume = Annotated[int, Field(ge=1, le=MOST_VOLUME)]
_ABOVE = (
    "Volume of the month above which this price begins: tokens, minutes, characters, documents or searches."
)
_PRICE = "Price of what comes above it, until the next tier; of as many as the entry's own price is."


class TierPerMillion(Spec):
    """A tier of a price per 1M."""

    above: Volume = Field(description=_ABOVE)
    price: PricePerMillion = Field(description=_PRICE)


class TierPerMinute(Spec):
    """A tier of a price per minute."""

    above: Volume = Field(description=_ABOVE)
    price: PricePerMinute = Field(description=_PRICE)


class TierPerThousand(Spec):
    """A tier of a price per 1,000."""

    above: Volume = Field(description=_ABOVE)
    price: PricePerThousand = Field(description=_PRICE)


class Tier(Protocol):
    """What tiers of all units have."""

    @property
    def above(self) -> int:
        """The volume above which it begins."""

    @property
    def price(self) -> Decimal:
        """The price from there on."""


_Tiers = TypeVar("_Tiers", bound=tuple[Tier, ...])


def _ascending(tiers: _Tiers) -> _Tiers:
    for before, after in pairwise(tiers):
        if after.above <= before.above:
            raise ValueError(
                f"a tier above {after.above} follows one above {before.above}, so that they overlap. Order "
                "them by volume, each once: a tier ends where the next begins"
            )
    return tiers


_PerMillion = Annotated[tuple[TierPerMillion, ...], AfterValidator(_ascending)]
_PerMinute = Annotated[tuple[TierPerMinute, ...], AfterValidator(_ascending)]
_PerThousand = Annotated[tuple[TierPerThousand, ...], AfterValidator(_ascending)]


class Tiers(Spec):
    """Prices of what comes above a volume of the month, by unit; below the first, the entry's own holds."""

    input: _PerMillion = Field((), description="Of uncached input tokens.")
    cached_input: _PerMillion = Field((), description="Of cached input tokens.")
    output: _PerMillion = Field((), description="Of generated tokens.")
    input_audio_minutes: _PerMinute = Field((), description="Of audio that is heard.")
    output_audio_minutes: _PerMinute = Field((), description="Of audio that is generated.")
    characters: _PerMillion = Field((), description="Of text that is spoken.")
    documents: _PerThousand = Field((), description="Of documents.")
    searches: _PerThousand = Field((), description="Of searches.")

    def of(self, unit: str) -> tuple[Tier, ...]:
        """The tiers of a unit, lowest first."""
        tiers: tuple[Tier, ...] = getattr(self, unit)
        return tiers


class FreeVolume(Spec):
    """What is free in each month, by unit: the same as a first tier of price 0."""

    input: Volume | None = Field(None, description="Uncached input tokens.")
    cached_input: Volume | None = Field(None, description="Cached input tokens.")
    output: Volume | None = Field(None, description="Generated tokens.")
    input_audio_minutes: Volume | None = Field(None, description="Minutes of audio that is heard.")
    output_audio_minutes: Volume | None = Field(None, description="Minutes of audio that is generated.")
    characters: Volume | None = Field(None, description="Characters of text that is spoken.")
    documents: Volume | None = Field(None, description="Documents.")
    searches: Volume | None = Field(None, description="Searches.")

    def of(self, unit: str) -> int | None:
        """The free volume of a unit."""
        volume: int | None = getattr(self, unit)
        return volume


# Each unit, and the entry's field that has its price.
PRICE_OF = {
    "input": "input",
    "cached_input": "cached_input",
    "output": "output",
    "input_audio_minutes": "input_audio_per_minute",
    "output_audio_minutes": "output_audio_per_minute",
    "characters": "characters_per_million",
    "documents": "documents_per_thousand",
    "searches": "searches_per_thousand",
}


def problem(tiers: Tiers, free: FreeVolume, price_of: dict[str, Decimal | None]) -> str | None:
    """What the volumes of one entry say against each other or its prices, and what to do; None: nothing."""
    for unit, term in PRICE_OF.items():
        steps, free_volume = tiers.of(unit), free.of(unit)
        field = f"tiers.{unit}" if steps else f"free_per_month.{unit}"
        if (steps or free_volume is not None) and price_of[term] is None:
            return f'{field} is given and {term} is not. Give {term}: the price before any tier ("0" if free)'
        if steps and free_volume is not None and steps[0].above <= free_volume:
            return (
                f"free_per_month.{unit} = {free_volume} reaches over tiers.{unit}[0].above = "
                f"{steps[0].above}. "
                "Lower the free volume, or let the tier begin above it"
            )
    return None
