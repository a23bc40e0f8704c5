"""Compaction: the small objects of an hour that is long over become one Parquet object, then go.

Belongs here: making it, reading it back before anything relies on it, and removing what it stands for.
Does not: what it is and how it is read (compacted.py), which objects of an hour count (fingerprint.py), when
it is done (assets).

Nothing here needs the warehouse. Whatever is interrupted has left all usage readable, each line once: a
compacted object is there as a whole or not at all, and small objects go only when it was read back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering.compacted import (
    Compacted,
    DamagedObjectError,
    contents_of,
    damaged,
    described,
    fetch_compacted,
    is_current,
    judge_compacted,
    parquet,
)
from slipway.metering.events import FetchedObject, batches, fetch
from slipway.metering.fingerprint import HourOfUsage, contents_of_hour, fingerprint, listings
from slipway.metering.reading import judge
from slipway.metering.warehouse import Warehouse, sql, workplace
from slipway.objectstore import ObjectStore, StoredObject
from slipway.records.usage import CompactedName, compacted_key

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Late events mostly come within a day or two: what is later makes one more compaction of its hour.
AFTER = timedelta(hours=48)
# How long small objects stay beside what they became: a rollup that listed them before has long ended, and
# who finds a fault has the originals.
GRACE = timedelta(hours=24)

_HOUR = timedelta(hours=1)
_AT_ONCE = 64  # hours that are listed together
_REMOVERS = 8
_PARQUET = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"


@dataclass(frozen=True)
class CompactedHour:
    """What was done with one hour: the object that was made, if any, and how many objects were removed."""

    hour: datetime
    made: Compacted | None
    removed: int


def compact(
    store: ObjectStore,
    warehouse: Warehouse,
    hours: Sequence[datetime],
    *,
    now: datetime,
    after: timedelta = AFTER,
    grace: timedelta = GRACE,
) -> Iterator[CompactedHour]:
    """Compact those of the hours that ended at least `after` ago, and remove what was compacted `grace` ago.

    Yields each hour in which something was done, when it is done. Raises ObjectStoreError, WarehouseError (of
    the disk that it works on), and DamagedObjectError, after all other hours.
    """
    settled = sorted(hour for hour in hours if hour + _HOUR + after <= now)
    damages: list[DamagedObjectError] = []
    with warehouse.compacting():
        for start in range(0, len(settled), _AT_ONCE):
            for hour, listed in listings(store, settled[start : start + _AT_ONCE]).items():
                try:
                    done = _compact(store, warehouse.spill_dir, hour, listed, now, grace)
                except DamagedObjectError as error:
                    damages.append(error)
                    continue
                if done.made or done.removed:
                    yield done
    if damages:
        raise damages[0]


def _compact(
    store: ObjectStore,
    directory: Path,
    hour: datetime,
    listed: Sequence[StoredObject],
    now: datetime,
    grace: timedelta,
) -> CompactedHour:
    contents = contents_of_hour(store, listed)
    made = _made(store, directory, hour, contents, now) if contents.small else None
    if made and not grace:
        contents = contents_of_hour(store, listings(store, [hour])[hour])
    return CompactedHour(hour, made, _remove(store, directory, contents, now - grace))


def _made(
    store: ObjectStore, directory: Path, hour: datetime, contents: HourOfUsage, now: datetime
) -> Compacted | None:
    """Make one object of all that the hour has; None where none of its small objects can be unpacked."""
    with workplace(directory) as (connection, folder):
        made_of = [stored for each in contents.compacted for stored in each.made_of]
        taken = _take(connection, store, hour, contents, folder)
        if not taken:
            return None
        made_of = sorted([*made_of, *taken], key=lambda stored: stored.key)
        judged = contents_of(connection, "kept")
        file = folder / "made.parquet"
        said = described(now, made_of, judged)
        pairs = ", ".join(f"{key}: '{value}'" for key, value in said.items())
        connection.execute(
            f"COPY ({sql('compacted_rows')}) TO '{file}' ({_PARQUET}, KV_METADATA {{{pairs}}})"
        )
        size_bytes = file.stat().st_size
        key = compacted_key(hour, CompactedName(fingerprint(made_of), len(made_of), size_bytes))
        etag = store.upload(key, file, content_type="application/vnd.apache.parquet")
        made = Compacted(StoredObject(key, size_bytes, etag), now, tuple(made_of), judged)
        _verify(connection, store, made, folder)
        return made


def _take(
    connection: DuckDBPyConnection, store: ObjectStore, hour: datetime, contents: HourOfUsage, folder: Path
) -> list[StoredObject]:
    """Bring every line of the hour into `kept`; returns the small objects that it is of.

    An object that cannot be unpacked stays as it is: as evidence, and because nothing could give it back.
    """
    connection.execute(sql("chunk_begin"))
    numbered = list(enumerate(contents.small))
    if numbered:
        connection.execute(
            "INSERT INTO usage_object SELECT unnest($number::INTEGER[]), $hour::TIMESTAMPTZ, "
            "unnest($key::VARCHAR[])",
            {
                "number": [number for number, _ in numbered],
                "hour": hour,
                "key": [stored.key for _, stored in numbered],
            },
        )
    for each in contents.compacted:
        path = folder / "before.parquet"
        fetch_compacted(store, each, path)
        _check(connection, store, each, path)
        if is_current(connection, path):
            _keep(connection, parquet(path))
        else:
            judge_compacted(connection, path)
            _keep(connection, "judged")
    taken: list[StoredObject] = []

    def readable(objects: Iterator[FetchedObject]) -> Iterator[FetchedObject]:
        for usage_object in objects:
            if usage_object.problem is None:
                taken.append(usage_object.stored)
                yield usage_object

    with closing(fetch(store, [(hour, stored) for stored in contents.small])) as fetched:
        for batch in batches(readable(fetched)):
            judge(connection, batch)
            _keep(connection, "judged")
    return taken


def _keep(connection: DuckDBPyConnection, source: str) -> None:
    """Add the lines of a table to `kept`."""
    connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS kept AS FROM {source} LIMIT 0")
    connection.execute(f"INSERT INTO kept BY NAME FROM {source}")


def _verify(connection: DuckDBPyConnection, store: ObjectStore, compacted: Compacted, folder: Path) -> None:
    """Read it back from the store: every row has to be what it was made of. Raises DamagedObjectError."""
    path = folder / "read-back.parquet"
    fetch_compacted(store, compacted, path)
    _check(connection, store, compacted, path)


def _check(connection: DuckDBPyConnection, store: ObjectStore, compacted: Compacted, path: Path) -> None:
    import duckdb

    try:
        found = contents_of(connection, parquet(path))
    except duckdb.Error as error:
        raise damaged(store, compacted.stored.key, "cannot be read as Parquet") from error
    if not compacted.contents.agree(found):
        raise damaged(store, compacted.stored.key, f"has {found}, written were {compacted.contents}")


def _remove(store: ObjectStore, directory: Path, contents: HourOfUsage, made_before: datetime) -> int:
    """Remove what is in compacted objects that were made before; each is read as a whole once more first."""
    ripe = [each for each in contents.compacted if each.made_at <= made_before]
    held = {stored.key for each in ripe for stored in each.made_of}
    going = [stored.key for stored in contents.covered if stored.key in held]
    going += [
        each.stored.key for each in contents.superseded if {stored.key for stored in each.made_of} <= held
    ]
    if not going:
        return 0
    with workplace(directory) as (connection, folder):
        for each in ripe:
            _verify(connection, store, each, folder)
    with ThreadPoolExecutor(_REMOVERS, thread_name_prefix="remove-usage") as pool:
        for _ in pool.map(store.delete, going):
            pass
    return len(going)
