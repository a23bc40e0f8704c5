"""What the UI plots of an hour: the same few numbers in each, with requests or without."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from assets import keys, metadata
from resources.warehouse import HourSummary

COUNTS = (
    *("objects", "rows_in", "requests", "duplicates", "conflicts", "unpriced", "quarantined"),
    *("input_tokens", "cached_tokens", "output_tokens"),
)
HOUR = datetime(2026, 3, 10, 9, tzinfo=UTC)
PLOTTED = {
    keys.LATENCY: {"requests", "output_tokens", "ttft_p50_ms", "ttft_p95_ms", "itl_p50_ms", "itl_p95_ms"},
    keys.COST: {"requests", "unpriced", "earned_eur", "earned_usd"},
}


def summary(**changes: Any) -> HourSummary:
    counts = dict.fromkeys(COUNTS, 0)
    return HourSummary(HOUR, "run", True, **{**counts, "currencies": ("EUR", "USD"), **changes})


FULL = summary(
    requests=3,
    output_tokens=33,
    cost={"USD": Decimal("0.100000000001")},
    latency_ms={"ttft_p50_ms": 12.34567, "ttft_p95_ms": 50.0, "itl_p50_ms": 7.0, "itl_p95_ms": 9.0},
)


@pytest.mark.parametrize("key", PLOTTED, ids=str)
def test_an_empty_hour_has_the_numbers_of_a_full_one(key: Any) -> None:
    for hour in (summary(), FULL):
        told = metadata.of_hour(key, hour)
        numbers = {
            name for name, value in told.items() if isinstance(value, int | float) and value is not True
        }
        assert numbers == PLOTTED[key]
    empty = metadata.of_hour(key, summary())
    assert {empty[name] for name in PLOTTED[key]} == {0}


def test_money_is_a_number_to_plot_with_its_exact_text_beside_it() -> None:
    told = metadata.of_hour(keys.COST, FULL)
    assert told["earned_usd"] == pytest.approx(0.1) and told["earned_usd_exact"] == "0.100000000001"
    assert told["earned_eur"] == 0.0 and told["earned_eur_exact"] == "0"


def test_latency_is_told_to_a_microsecond() -> None:
    assert metadata.of_hour(keys.LATENCY, FULL)["ttft_p50_ms"] == 12.346
