"""What GPUs cost beside what they earned: the catalog's prices of them, and sums by the hour.

Belongs here: taking the prices, the table of them, and what the hours' plots show.
Does not: the arithmetic (sql/schema_economics.sql), the objects (slipway.records.gpu_prices).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from slipway.catalog.gpu_prices import GpuPrice
from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import Warehouse, transaction
from slipway.objectstore import ObjectStore
from slipway.records.gpu_prices import GpuPriceRow, GpuPrices

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "gpu_price"

Interval = tuple[str, datetime, datetime | None, str, int]


@dataclass(frozen=True)
class Economics:
    """What all deployments earned in an hour in one currency, what their GPUs cost, and what is left."""

    hour: datetime
    currency: str
    earned: Decimal
    gpu_cost: Decimal
    margin: Decimal


def rows_of(prices: Sequence[GpuPrice]) -> list[GpuPriceRow]:
    """The catalog's prices as they are kept."""
    return [
        GpuPriceRow(
            price.gpu_class or "", price.effective_from, price.currency, int(price.per_hour.scaleb(12))
        )
        for price in prices
    ]


def take(store: ObjectStore, warehouse: Warehouse, prices: Sequence[GpuPrice], now: datetime) -> bool:
    """Take the catalog's prices, and bring the table to them; whether the table is another now.

    Raises GpuPricesError, ObjectStoreError, WarehouseError.
    """
    GpuPrices(store).take(rows_of(prices), now)
    with warehouse.writing() as connection:
        return bring(store, connection)


def bring(store: ObjectStore, connection: DuckDBPyConnection) -> bool:
    """Bring the table to what is kept; whether it is another now. The caller is the one writer."""
    wanted = intervals(GpuPrices(store).latest())
    if [_interval(row) for row in connection.execute("FROM gpu_price ORDER BY ALL").fetchall()] == wanted:
        return False
    with transaction(connection):
        connection.execute("DELETE FROM gpu_price")
        for row in wanted:
            connection.execute("INSERT INTO gpu_price VALUES (?, ?, ?, ?, ?)", row)
    return True


def intervals(rows: Sequence[GpuPriceRow]) -> list[Interval]:
    """Each price until the next one of its class, in order."""
    made = []
    for row in sorted(rows):
        later = [
            each.effective_from
            for each in rows
            if each.gpu_class == row.gpu_class and each.effective_from > row.effective_from
        ]
        made.append(
            (row.gpu_class, row.effective_from, min(later, default=None), row.currency, row.pico_per_hour)
        )
    return made


def by_hour(copy: PublishedCopy, hours: Sequence[datetime]) -> list[Economics]:
    """Of each hour a row per currency that there is, in empty hours, too. Raises WarehouseError."""
    return [Economics(**row) for row in copy.rows("hour_economics", hours=list(hours))]


def _interval(row: tuple[str, datetime, datetime | None, str, int]) -> Interval:
    gpu_class, since, until, currency, pico = row
    return gpu_class, since.astimezone(UTC), until and until.astimezone(UTC), currency, pico
