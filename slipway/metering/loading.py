"""Usage of some hours into the temporary tables of a chunk: small objects, compacted ones, and the hours.

Belongs here: what a rollup and an intake do alike before anything is summed.
Does not: how a line is read (reading.py), which objects an hour has (fingerprint.py), the rows (rollup.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.metering.compacted import damaged, fetch_compacted, load_compacted
from slipway.metering.events import FetchedObject, batches, fetch
from slipway.metering.fingerprint import HourOfUsage, fingerprint
from slipway.metering.reading import Scratch, read
from slipway.metering.warehouse import transaction
from slipway.objectstore import ObjectStore, StoredObject

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Shipped = Mapping[datetime, Sequence[StoredObject]]

_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class ChunkHour:
    """An hour as it was listed at an instant: of which objects it was made."""

    hour: datetime
    fingerprint: str
    objects: int
    listed_at: datetime

    @property
    def is_final(self) -> bool:
        """Whether the hour was over by then."""
        return self.listed_at >= self.hour + _HOUR

    @property
    def elapsed_s(self) -> float:
        """Seconds of the hour that had passed by then."""
        return min(max((self.listed_at - self.hour).total_seconds(), 1.0), _HOUR.total_seconds())


def load_lines(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    listing: Mapping[datetime, HourOfUsage],
    file: Scratch,
) -> dict[datetime, list[StoredObject]]:
    """Bring every line of the hours to `request`, copies included, or to `unreadable`.

    Returns what gateways shipped of what was read, by hour. Raises ObjectStoreError, DamagedObjectError.
    """
    flat = [(hour, stored) for hour, contents in listing.items() for stored in contents.small]
    insert_many(
        connection,
        "INSERT INTO usage_object SELECT unnest($number::INTEGER[]), unnest($hour::TIMESTAMPTZ[]), "
        "unnest($key::VARCHAR[])",
        number=list(range(len(flat))),
        hour=[hour for hour, _ in flat],
        key=[stored.key for _, stored in flat],
    )
    objects_read: dict[datetime, list[StoredObject]] = {hour: [] for hour in listing}
    _load_compacted(connection, store, listing, file.directory)
    broken: list[FetchedObject] = []
    with closing(fetch(store, flat)) as fetched:
        for batch in batches(_noted(fetched, objects_read, broken)):
            read(connection, batch, file)
    _set_aside(connection, broken)
    return {
        hour: replace(contents, small=tuple(objects_read[hour])).shipped for hour, contents in listing.items()
    }


def _load_compacted(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    listing: Mapping[datetime, HourOfUsage],
    directory: Path,
) -> None:
    """Bring what was compacted, an object at a time."""
    import duckdb

    compacted = [each for contents in listing.values() for each in contents.compacted]
    if not compacted:
        return
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory, prefix="usage-") as folder:
        path = Path(folder) / "hour.parquet"
        for each in compacted:
            fetch_compacted(store, each, path)
            try:
                with transaction(connection):
                    load_compacted(connection, path)
            except (duckdb.InvalidInputException, duckdb.IOException, duckdb.SerializationException) as error:
                raise damaged(store, each.stored.key, "cannot be read as Parquet") from error


def _noted(
    fetched: Iterator[FetchedObject],
    objects_read: dict[datetime, list[StoredObject]],
    broken: list[FetchedObject],
) -> Iterator[FetchedObject]:
    """Pass readable objects on, and keep what was read of every one."""
    for usage_object in fetched:
        objects_read[usage_object.hour].append(usage_object.stored)
        if usage_object.problem is None:
            yield usage_object
        else:
            broken.append(usage_object)


def _set_aside(connection: DuckDBPyConnection, broken: Sequence[FetchedObject]) -> None:
    insert_many(
        connection,
        "INSERT INTO unreadable SELECT unnest($hour::TIMESTAMPTZ[]), unnest($key::VARCHAR[]), NULL, "
        "unnest($reason::VARCHAR[]), NULL",
        hour=[usage_object.hour for usage_object in broken],
        key=[usage_object.stored.key for usage_object in broken],
        reason=[usage_object.problem for usage_object in broken],
    )


def insert_hours(connection: DuckDBPyConnection, shipped: Shipped, now: datetime) -> None:
    """The hours of the chunk, what they were made of, and how much of them is over at `now`."""
    insert_chunk_hours(
        connection,
        [ChunkHour(hour, fingerprint(objects), len(objects), now) for hour, objects in shipped.items()],
    )


def insert_chunk_hours(connection: DuckDBPyConnection, hours: Sequence[ChunkHour]) -> None:
    """Fill chunk_hour."""
    insert_many(
        connection,
        "INSERT INTO chunk_hour SELECT unnest($hour::TIMESTAMPTZ[]), unnest($fingerprint::VARCHAR[]), "
        "unnest($objects::BIGINT[]), unnest($final::BOOLEAN[]), unnest($elapsed_s::DOUBLE[])",
        hour=[each.hour for each in hours],
        fingerprint=[each.fingerprint for each in hours],
        objects=[each.objects for each in hours],
        final=[each.is_final for each in hours],
        elapsed_s=[each.elapsed_s for each in hours],
    )


def insert_many(connection: DuckDBPyConnection, statement: str, **columns: list[Any]) -> None:
    """Insert lists as columns: one statement for any number of rows."""
    if next(iter(columns.values())):
        connection.execute(statement, columns)
