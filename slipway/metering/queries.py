"""What reports ask of the published copy: bills, latency and prices.

Belongs here: typed answers to those questions. Money leaves as a decimal string, never as a float.
Does not: the SQL itself (sql/), tables and charts for people (slipway.commands.main, reports).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from slipway.metering.price_table import price_row
from slipway.metering.published import PublishedCopy
from slipway.records.price_history import PriceRow
from slipway.records.usage import Units

STATUSES = {
    "success": "successes",
    "client_error": "client_errors",
    "server_error": "server_errors",
    "limited": "limited",
    "cancelled": "cancelled",
}
QUANTILES = ("p50", "p90", "p95", "p99")


@dataclass(frozen=True)
class Bill:
    """One org's usage in one currency. `currency` and `cost` are None for usage without a price.

    `by_status` has the statuses that occurred. Tokens and units are the billed ones; `cost` is an exact
    decimal with 12 places.
    """

    org: str
    currency: str | None
    requests: int
    by_status: Mapping[str, int]
    input_uncached: int
    input_cached: int
    output: int
    units: Units
    cost: str | None


@dataclass(frozen=True)
class BillLine:
    """A bill by deployment and price version."""

    org: str
    deployment: str
    price_version: str | None
    currency: str | None
    requests: int
    input_uncached: int
    input_cached: int
    output: int
    units: Units
    cost: str | None


@dataclass(frozen=True)
class Latency:
    """TTFT, ITL and whole duration of one deployment over a period, in ms by quantile (p50, p90, p95, p99).

    TTFT and ITL are those of streams, the duration that of every request, streamed or not, whatever its end.

    `exact` when the period is covered by one row of exact quantiles; otherwise they come from histograms
    whose buckets are 2% wide. A quantile is None where nothing was measured.
    """

    deployment: str
    requests: int
    ttft_count: int
    ttft_ms: Mapping[str, float | None]
    itl_count: int
    itl_ms: Mapping[str, float | None]
    duration_ms: Mapping[str, float | None]
    exact: bool


def bills(copy: PublishedCopy, start: datetime, end: datetime, org: str | None = None) -> list[Bill]:
    """The bill of every org (or of one) for the hours in [start, end), by org and currency."""
    rows = copy.rows("bills", start=start, end=end, org=org)
    return [
        Bill(
            by_status={status: row[column] for status, column in STATUSES.items() if row[column]},
            units=_units(row),
            cost=_decimal(row["cost"]),
            **{name: row[name] for name in ("org", "currency", "requests", *_BILLED)},
        )
        for row in rows
    ]


def bill_lines(copy: PublishedCopy, start: datetime, end: datetime, org: str | None = None) -> list[BillLine]:
    """The lines of those bills, by org, deployment and price version."""
    rows = copy.rows("bill_lines", start=start, end=end, org=org)
    names = ("org", "deployment", "price_version", "currency", "requests", *_BILLED)
    return [
        BillLine(units=_units(row), cost=_decimal(row["cost"]), **{name: row[name] for name in names})
        for row in rows
    ]


def latencies(copy: PublishedCopy, start: datetime, end: datetime) -> list[Latency]:
    """TTFT, ITL and duration of every deployment over the hours in [start, end)."""
    histogram = {
        (row["deployment"], row["metric"]): row for row in copy.rows("latency_merged", start=start, end=end)
    }
    answers = []
    for row in copy.rows("latency_period", start=start, end=end):
        exact = row["row_count"] == 1
        source = {
            metric: row if exact else _renamed(histogram.get((row["deployment"], metric), {}), metric)
            for metric in ("ttft", "itl", "duration")
        }
        answers.append(
            Latency(
                row["deployment"], row["requests"],
                row["ttft_count"], _quantiles(source["ttft"], "ttft"),
                row["itl_count"], _quantiles(source["itl"], "itl"),
                _quantiles(source["duration"], "duration"), exact,
            )
        )  # fmt: skip
    return answers


def latency_by_hour(
    copy: PublishedCopy, start: datetime, end: datetime, deployment: str | None = None
) -> list[dict[str, Any]]:
    """Every row of deployment_hourly in [start, end), by hour, with `final`; for plotting."""
    return copy.rows("latency_by_hour", start=start, end=end, deployment=deployment)


def prices(copy: PublishedCopy) -> list[PriceRow]:
    """Every price that is or was in force."""
    return [price_row(*row.values()) for row in copy.rows("prices")]


_BILLED = ("input_uncached", "input_cached", "output")


def _units(row: Mapping[str, Any]) -> Units:
    return Units(**{unit.name: row[unit.name] for unit in fields(Units)})


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")


def _renamed(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {f"{metric}_{name}_ms": row.get(f"{name}_ms") for name in QUANTILES}


def _quantiles(row: Mapping[str, Any], metric: str) -> dict[str, float | None]:
    return {name: row[f"{metric}_{name}_ms"] for name in QUANTILES}
