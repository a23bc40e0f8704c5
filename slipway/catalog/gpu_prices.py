"""What a GPU costs to run: by class and hour, from an instant on.

Belongs here: the fields and what can be judged of the list alone.
Does not: prices that tenants pay (documents.py), what ran (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from slipway.catalog.fields import Spec
from slipway.catalog.price_fields import Currency, Instant, PricePerHour


class GpuPrice(Spec):
    """What one GPU of a class costs for an hour, from an instant until the next entry of its class."""

    gpu_class: str | None = Field(
        None,
        alias="class",
        description="`resources.gpu.class`; none: GPUs of deployments that name none.",
    )
    effective_from: Instant = Field(description="From when on.")
    per_hour: PricePerHour = Field(description="Price of one GPU for an hour, idle or not.")
    currency: Currency = Field("USD", description="ISO 4217.")


def problem(prices: Sequence[GpuPrice]) -> str | None:
    """Two entries of a class from one instant, in words; None where there are none."""
    seen: set[tuple[object, ...]] = set()
    for price in prices:
        scope = (price.gpu_class, price.effective_from)
        if scope in seen:
            of = price.gpu_class or "GPUs without a class"
            return f"two prices of {of} from {price.effective_from.isoformat()}. Keep one"
        seen.add(scope)
    return None
