"""Publishing: the read-only copy that readers open, and Parquet of the tables in the object store.

Belongs here: making both without a reader ever seeing half of one.
Does not: reading them (published.py, queries.py).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from slipway.metering.published import PublishedCopy
from slipway.metering.warehouse import USAGE_TABLES, Warehouse, WarehouseError
from slipway.objectstore import ObjectStore

PREFIX = "metering/"


@dataclass(frozen=True)
class Published:
    """What a publication wrote: the copy's size, and the keys of the Parquet objects."""

    copy_bytes: int
    parquet_keys: tuple[str, ...]


def publish(warehouse: Warehouse, store: ObjectStore, hours: Sequence[datetime]) -> Published:
    """Publish the warehouse as it is: the local copy, then Parquet of the days that these hours belong to.

    The copy is replaced atomically under open readers; so is each Parquet object. A publication that died
    is completed by the next one. Raises WarehouseError, ObjectStoreError.
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
        try:
            _copy_durably(warehouse.path, unfinished)
        except OSError as error:
            raise WarehouseError(
                f"{unfinished}: cannot be written: {error}. Free space for a second copy of the warehouse, "
                "then publish again; readers keep the copy they have."
            ) from error
        size_bytes = unfinished.stat().st_size
        unfinished.replace(warehouse.published_path)
    return size_bytes


def publish_parquet(
    warehouse: Warehouse, store: ObjectStore, days: Sequence[date], tables: Sequence[str]
) -> list[str]:
    """Write `metering/<table>/day=YYYY-MM-DD.parquet` for each day and `metering/price.parquet`; their keys.

    Money is DECIMAL(38, 12) and counts are BIGINT in the tables, so that nothing becomes a double here:
    Parquet has no HUGEINT, and DuckDB would write a double for one.
    """
    keys: list[str] = []
    with tempfile.TemporaryDirectory(prefix="slipway-parquet-") as scratch:
        path = Path(scratch) / "table.parquet"
        with PublishedCopy(warehouse.directory).reading() as connection:

            def put(key: str, source: str) -> None:
                connection.execute(f"COPY ({source}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
                store.put(key, path.read_bytes(), content_type="application/vnd.apache.parquet")
                keys.append(key)

            for day in days:
                start = datetime.combine(day, time(), UTC)
                within = f"hour >= '{start}' AND hour < '{start + timedelta(days=1)}'"
                for table in tables:
                    put(
                        f"{PREFIX}{table}/day={day}.parquet",
                        f"FROM {table} WHERE {within} ORDER BY ALL",
                    )
            put(f"{PREFIX}price.parquet", "FROM price ORDER BY ALL")
    return keys


def _copy_durably(source: Path, target: Path) -> None:
    with source.open("rb") as live, target.open("wb") as copy:
        shutil.copyfileobj(live, copy, 8 * 2**20)
        copy.flush()
        os.fsync(copy.fileno())
