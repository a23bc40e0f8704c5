"""The warehouse's price table: a copy of the price history for rating to join, brought before every use.

Belongs here: taking the catalog's prices into the history, rows in and out of DuckDB.
Does not: which rows those are, and which changes are refused (prices.py), the history's objects
(slipway.records.price_history).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from slipway.metering.prices import PriceSchedule, check_append_only, merge, month_start, order
from slipway.metering.warehouse import Warehouse, sql, transaction
from slipway.objectstore import ObjectStore
from slipway.records.price_history import PriceHistory, PriceRow, TakenPrices, UnitTiers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True)
class PriceSync:
    """What a sync changed: versions that came into the table and versions that left it."""

    added: tuple[str, ...]
    removed: tuple[str, ...]


def sync_prices(
    store: ObjectStore, warehouse: Warehouse, schedules: Sequence[PriceSchedule], *, now: datetime
) -> PriceSync:
    """Take the catalog's schedules into the price history, and bring the table to it.

    Harmless when nothing changed. Raises ClosedPriceError, and then changes nothing, when a closed month
    would be priced differently; PriceHistoryError, ObjectStoreError, WarehouseError.
    """
    history = PriceHistory(store)

    def wanted(taken: TakenPrices | None, at: datetime) -> tuple[PriceRow, ...]:
        existing = taken.rows if taken is not None else ()
        merged = merge(existing, schedules, at)
        check_append_only(existing, merged, month_start(at))
        return merged

    with warehouse.writing() as connection:
        before = set(read_prices(connection))
        _begin_history(history, connection, now)
        taken = history.take(wanted, now)
        _replace(connection, taken.rows)
    return PriceSync(
        added=tuple(row.version for row in taken.rows if row not in before),
        removed=tuple(row.version for row in sorted(before - set(taken.rows), key=order)),
    )


def bring_prices(store: ObjectStore, connection: DuckDBPyConnection, *, now: datetime) -> None:
    """Bring the table to the price history, before it is joined; the caller is the one writer.

    A warehouse of a version before the history has its prices in its file alone: they begin the history.
    Raises PriceHistoryError where there is neither, and ObjectStoreError.
    """
    history = PriceHistory(store)
    _begin_history(history, connection, now)
    _replace(connection, history.required().rows)


def _begin_history(history: PriceHistory, connection: DuckDBPyConnection, now: datetime) -> None:
    """Begin a history that does not exist with the table's rows, if there are any."""
    if history.latest() is None and (rows := read_prices(connection)):
        history.take(lambda taken, _: taken.rows if taken is not None else sorted(rows, key=order), now)


def _replace(connection: DuckDBPyConnection, rows: Sequence[PriceRow]) -> None:
    if Counter(read_prices(connection)) == Counter(rows):
        return
    with transaction(connection):
        connection.execute("DELETE FROM price")
        if rows:
            connection.executemany(sql("insert_price"), [_values(row) for row in rows])


def read_prices(connection: DuckDBPyConnection) -> list[PriceRow]:
    """Every row of the price table."""
    return [price_row(*row) for row in connection.execute(sql("prices")).fetchall()]


def price_row(*columns: Any) -> PriceRow:
    """A PriceRow of the columns in the order of `sql/prices.sql`, instants in UTC."""
    values: list[Any] = [
        column.astimezone(UTC) if isinstance(column, datetime) else column for column in columns
    ]
    *plain, model, tiers, minimum = values
    return replace(PriceRow(*plain), model=model, tiers=_unit_tiers(tiers or []), minimum_pico=minimum)


def _unit_tiers(tiers: list[dict[str, Any]]) -> tuple[UnitTiers, ...]:
    steps: dict[str, list[tuple[int, int]]] = {}
    for tier in tiers:
        steps.setdefault(tier["unit"], []).append((tier["above"], tier["price"]))
    return tuple(UnitTiers(unit, tuple(each)) for unit, each in steps.items())


def _values(row: PriceRow) -> dict[str, Any]:
    return {
        "deployment": row.deployment, "org": row.org, "effective_from": row.effective_from,
        "effective_to": row.effective_to, "version": row.version, "input": row.input_pico,
        "cached": row.cached_pico, "output": row.output_pico, "currency": row.currency,
        "bill_failed": row.bill_failed, "book": row.book, "assigned_from": row.assigned_from,
        "input_audio": row.input_audio_pico, "output_audio": row.output_audio_pico,
        "characters": row.character_pico, "documents": row.document_pico, "searches": row.search_pico,
        "model": row.model, "minimum": row.minimum_pico,
        "tiers": [
            {"unit": unit.unit, "above": above, "price": pico}
            for unit in row.tiers for above, pico in unit.steps
        ] or None,
    }  # fmt: skip
