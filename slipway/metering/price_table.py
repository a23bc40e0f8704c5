"""The warehouse's price table: reading it, and bringing it to what the catalog says.

Belongs here: rows in and out of DuckDB.
Does not: which rows those are, and which changes are refused (prices.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.metering.prices import PriceRow, PriceSchedule, check_append_only, merge, month_start
from slipway.metering.warehouse import Warehouse, sql, transaction

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class PriceSync:
    """What a sync changed: versions that came into the table and versions that left it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def sync_prices(warehouse: Warehouse, schedules: Sequence[PriceSchedule], *, now: datetime) -> PriceSync:
    """Bring the price table to the catalog's schedules; harmless when nothing changed.

    Raises ClosedPriceError, and then changes nothing, when a closed month would be priced differently.
    """
    with warehouse.writing() as connection, transaction(connection):
        existing = read_prices(connection)
        wanted = merge(existing, schedules, now)
        check_append_only(existing, wanted, month_start(now))
        before, after = set(existing), set(wanted)
        if before != after:
            connection.execute("DELETE FROM price")
            if wanted:
                connection.executemany(sql("insert_price"), [_values(row) for row in wanted])
    return PriceSync(
        added=tuple(row.version for row in wanted if row not in before),
        removed=tuple(row.version for row in existing if row not in after),
    )


def read_prices(connection: DuckDBPyConnection) -> list[PriceRow]:
    """Every row of the price table."""
    return [price_row(*row) for row in connection.execute(sql("prices")).fetchall()]


def price_row(*columns: Any) -> PriceRow:
    """A PriceRow of the columns in the order of `sql/prices.sql`, instants in UTC."""
    values: list[Any] = [
        column.astimezone(UTC) if isinstance(column, datetime) else column for column in columns
    ]
    return PriceRow(*values)


def _values(row: PriceRow) -> dict[str, Any]:
    return {
        "deployment": row.deployment, "org": row.org, "effective_from": row.effective_from,
        "effective_to": row.effective_to, "version": row.version, "input": row.input_pico,
        "cached": row.cached_pico, "output": row.output_pico, "currency": row.currency,
        "bill_failed": row.bill_failed, "book": row.book, "assigned_from": row.assigned_from,
    }  # fmt: skip
