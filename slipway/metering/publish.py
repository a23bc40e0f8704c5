"""Publishing: the read-only copy that readers open; in the object store, that copy and Parquet of the tables.

Belongs here: making both without a reader ever seeing half of one.
Does not: reading them (published.py, queries.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import UUID

from slipway.metering import sharded
from slipway.metering.published import PublishedCopy
from slipway.metering.schema import copy_durably
from slipway.metering.troubles import explained
from slipway.metering.warehouse import USAGE_TABLES, Warehouse, sql
from slipway.objectstore import ObjectStore
from slipway.records import published_usage
from slipway.records.published_usage import Complete, day_key


@dataclass(frozen=True)
class Published:
    """What a publication wrote: the copy's size, and the keys of the Parquet objects."""

    copy_bytes: int
    parquet_keys: tuple[str, ...]


def publish(warehouse: Warehouse, store: ObjectStore, hours: Sequence[datetime]) -> Published:
    """Publish the warehouse as it is: the local copy, then Parquet of the days that these hours belong to.

    The copy is replaced atomically under open readers; so is each Parquet object. A publication that died
    is completed by the next one, the days of earlier ones included. Raises WarehouseError, ObjectStoreError.
    """
    copy_bytes = publish_copy(warehouse)
    days = sorted({hour.astimezone(UTC).date() for hour in hours})
    return Published(copy_bytes, tuple(publish_parquet(warehouse, store, days, USAGE_TABLES)))


def publish_copy(warehouse: Warehouse) -> int:
    """Replace `published.duckdb` by a copy of the live file; returns its size in bytes."""
    with warehouse.locked():
        with warehouse.opened() as connection:
            connection.execute("CHECKPOINT")
        # Written under a fixed name, so that what an interrupted publication left is overwritten.
        unfinished = warehouse.published_path.with_suffix(".unfinished")
        with explained(unfinished):
            copy_durably(warehouse.path, unfinished)
        size_bytes = unfinished.stat().st_size
        unfinished.replace(warehouse.published_path)
    return size_bytes


def publish_parquet(
    warehouse: Warehouse, store: ObjectStore, days: Sequence[date], tables: Sequence[str]
) -> list[str]:
    """Write Parquet of each day of each table and of prices, the copy, then until when all is complete.

    Returns Parquet's keys.

    So are all days of all tables that changed and were not published since: what a publication that failed
    left is completed by the next one, whatever that one is of. Money is DECIMAL(38, 12) and counts are BIGINT
    in the tables, so that nothing becomes a double here: Parquet has no HUGEINT, and DuckDB would write a
    double for one. Raises WarehouseError, ObjectStoreError.
    """
    keys: list[str] = []
    copy = PublishedCopy.of(warehouse)
    with warehouse.publishing(), tempfile.TemporaryDirectory(prefix="slipway-parquet-") as scratch:
        path = Path(scratch) / "table.parquet"
        with copy.reading() as connection:
            marked = connection.execute(sharded.unpublished(len(warehouse.parts))).fetchall()
            wanted = {(table, day) for table, day, _ in marked} | {
                (each, day) for day in days for each in tables
            }

            def put(key: str, source: str) -> None:
                with explained(path):
                    connection.execute(f"COPY ({source}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
                    body = path.read_bytes()
                store.put(key, body, content_type="application/vnd.apache.parquet")
                keys.append(key)

            for table, day in sorted(wanted, key=lambda each: (each[1], each[0])):
                start = datetime.combine(day, time(), UTC)
                within = f"hour >= '{start}' AND hour < '{start + timedelta(days=1)}'"
                put(day_key(table, day), f"FROM {table} WHERE {within} ORDER BY ALL")
            put(published_usage.PRICE_KEY, "FROM price ORDER BY ALL")
            (until,) = connection.execute(sql("complete_until")).fetchone() or (None,)
        _put_copy(warehouse, store)
        published_usage.write_complete(store, Complete(until))
        _unmark(warehouse, [mark for _, _, mark in marked])
    return keys


def _put_copy(warehouse: Warehouse, store: ObjectStore) -> None:
    """Replace the DuckDB file in the store; it is there whole or as it was, whatever its size.

    Opened once: a copy that takes its place meanwhile is another file, and sent by whoever made it.
    """
    with explained(warehouse.published_path), warehouse.published_path.open("rb") as copy:
        store.put_file(published_usage.COPY_KEY, copy, content_type="application/vnd.duckdb")


def _unmark(warehouse: Warehouse, marks: Sequence[UUID]) -> None:
    """These days are published as they were; one that changed since has another mark by now."""
    if not marks:
        return
    for each in (warehouse, *warehouse.parts):
        with each.writing() as connection:
            connection.execute(
                "DELETE FROM unpublished_day WHERE mark IN (SELECT unnest($marks::UUID[]))",
                {"marks": list(marks)},
            )
