"""Rolling up with shards: what was taken in becomes rows of each shard, and all of them together an hour.

Belongs here: a shard's transactions, what must hold before its hours are shown as one, what the hours held.
Does not: the rows (slipway.metering.rollup), taking in (intake.py), the view over all
(slipway.metering.sharded).
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.metering import continuity, sharded
from slipway.metering.loading import ChunkHour, insert_chunk_hours, insert_many
from slipway.metering.price_table import bring_prices
from slipway.metering.publish import publish_copy
from slipway.metering.rollup import (
    HourSummary,
    Say,
    chunks,
    done_hours,
    in_turns,
    insert_latency,
    insert_usage,
    roll_up,
    summaries_of,
)
from slipway.metering.shards.intake import IntakeError, fetch_part, take_in
from slipway.metering.shards.workers import Workers
from slipway.metering.warehouse import (
    USAGE_TABLES,
    Warehouse,
    delete_hours,
    mark_unpublished,
    sql,
    transaction,
)
from slipway.objectstore import ObjectStore
from slipway.records import intake, published_usage
from slipway.records.intake import Intake

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Hours = Sequence[datetime]


class ShardsBehindError(RuntimeError):
    """Some shard has not rolled up what the others have; the message names it, and says what to do."""


def roll_up_all(
    store: ObjectStore,
    warehouse: Warehouse,
    hours: Hours,
    *,
    run_id: str,
    now: datetime,
    workers: Workers | None = None,
    done_by: Collection[str] = (),
    say: Say = lambda _: None,
) -> list[HourSummary]:
    """`roll_up`, whether the warehouse has shards or not: all steps here, one after another.

    Shards have published their copies when it ends. Raises as `roll_up`, `take_in` and `roll_up_shard`.
    """
    if not warehouse.parts:
        return roll_up(store, warehouse, hours, run_id=run_id, now=now, done_by=done_by, say=say)
    take_in(store, hours, warehouse.shards, now=now, workers=workers, say=say)
    for shard in range(warehouse.shards):
        roll_up_shard(store, warehouse, shard, hours, run_id=run_id, now=now, done_by=done_by, say=say)
    return bring_together(store, warehouse, hours, now=now)


def roll_up_shard(
    store: ObjectStore,
    warehouse: Warehouse,
    shard: int,
    hours: Hours,
    *,
    run_id: str,
    now: datetime,
    done_by: Collection[str] = (),
    say: Say = lambda _: None,
) -> int:
    """Replace a shard's rows of these hours by what was taken in of them, and publish its copy.

    Returns the number of its requests, without those of hours that were done before. A run that dies has
    replaced whole chunks or nothing, as with one warehouse. Raises IntakeError, and as `roll_up`.
    """
    part = warehouse.parts[shard]
    requests = 0
    for some in in_turns(set(hours)):
        with part.writing() as connection:
            requests += _roll_up_some(
                connection, store, warehouse.shards, shard, some, run_id, now, done_by, say
            )
    publish_copy(part)
    with part.published_path.open("rb") as copy:
        key = published_usage.shard_copy_key(shard, warehouse.shards)
        store.put_file(key, copy, content_type="application/vnd.duckdb")
    say(f"shard {shard} of {warehouse.shards}: {requests} requests in {len(set(hours))} hours")
    return requests


def _roll_up_some(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    shards: int,
    shard: int,
    hours: Hours,
    run_id: str,
    now: datetime,
    done_by: Collection[str],
    say: Say,
) -> int:
    bring_prices(store, connection, now=now)
    # Read as the one writer: another one that went first may have had a later intake.
    taken = _taken_in(store, hours, shards)
    done = done_hours(connection, {hour: each.fingerprint for hour, each in taken.items()}, done_by)
    sizes = {hour: each.size_bytes // shards for hour, each in taken.items() if hour not in done}
    return sum(
        _roll_up_chunk(connection, store, [taken[hour] for hour in chunk], shard, run_id, now, say)
        for chunk in chunks(sizes)
    )


def bring_together(
    store: ObjectStore, warehouse: Warehouse, hours: Hours, *, now: datetime
) -> list[HourSummary]:
    """What the hours hold in all shards, with what gateways told of them beside; their intake is removed.

    Raises ShardsBehindError, ObjectStoreError, WarehouseError.
    """
    asked = sorted(set(hours))
    with warehouse.writing() as connection:
        _check_together(connection, warehouse, asked)
        bring_prices(store, connection, now=now)
        continuity.load(connection, store, asked)
        with transaction(connection):
            delete_hours(connection, continuity.TABLE, asked)
            connection.execute(sql("gateway_hourly"))
            mark_unpublished(connection, [continuity.TABLE], asked)
        summaries = summaries_of(connection, asked)
    intake.remove(store, [summary.hour for summary in summaries])
    return summaries


def _taken_in(store: ObjectStore, hours: Hours, shards: int) -> dict[datetime, Intake]:
    taken = intake.read(store, hours, shards)
    missing = [hour for hour in hours if hour not in taken]
    if missing:
        first = f"{missing[0]:%Y-%m-%dT%H}"
        raise IntakeError(
            f"{first}: was not taken in for {shards} shards. Materialize usage/intake of it, then this."
        )
    return taken


def _roll_up_chunk(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    taken: Sequence[Intake],
    shard: int,
    run_id: str,
    now: datetime,
    say: Say,
) -> int:
    chunk = [each.hour for each in taken]
    connection.execute(sql("chunk_begin"))
    _insert_hours(connection, taken, shard)
    with tempfile.TemporaryDirectory(prefix="slipway-shard-") as folder, transaction(connection):
        for table in USAGE_TABLES:
            delete_hours(connection, table, chunk)
        if shard == 0:  # what could not be read is of no organisation
            _load(connection, store, [key for each in taken for key in each.unreadable], "unreadable", folder)
        _load(connection, store, _keys(taken, "latency", shard), "request", folder)
        insert_latency(connection, run_id)
        connection.execute("DELETE FROM request")
        _load(connection, store, _keys(taken, "usage", shard), "request", folder)
        for rerated in insert_usage(connection, chunk, run_id, now):
            say(rerated.told())
        mark_unpublished(connection, USAGE_TABLES, chunk)
        (requests,) = connection.execute("SELECT count(*) FROM request").fetchone() or (0,)
    return int(requests)


def _keys(taken: Sequence[Intake], kind: str, shard: int) -> list[str]:
    return [key for each in taken for key in each.part(kind, shard)]


def _insert_hours(connection: DuckDBPyConnection, taken: Sequence[Intake], shard: int) -> None:
    """chunk_hour, and copies: those of the whole hour are told by the first shard."""
    insert_chunk_hours(
        connection, [ChunkHour(each.hour, each.fingerprint, each.objects, each.taken_at) for each in taken]
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE copies (hour TIMESTAMPTZ, duplicates BIGINT, conflicts BIGINT)"
    )
    told = [each for each in taken if shard == 0]
    insert_many(
        connection,
        "INSERT INTO copies SELECT unnest($hour::TIMESTAMPTZ[]), unnest($duplicates::BIGINT[]), "
        "unnest($conflicts::BIGINT[])",
        hour=[each.hour for each in told],
        duplicates=[each.duplicates for each in told],
        conflicts=[each.conflicts for each in told],
    )


def _load(
    connection: DuckDBPyConnection, store: ObjectStore, keys: Sequence[str], table: str, folder: str
) -> None:
    path = Path(folder) / "part.parquet"
    for key in keys:
        fetch_part(store, key, path)
        connection.execute(f"INSERT INTO {table} FROM read_parquet('{path}')")
        with suppress(OSError):
            path.unlink()


def _check_together(connection: DuckDBPyConnection, warehouse: Warehouse, hours: Hours) -> None:
    """Raise ShardsBehindError unless every shard has each hour, of the same objects."""
    rows = connection.execute("SELECT hour, input_fingerprint FROM rollup_run").fetchall()
    together: Mapping[datetime, str] = {hour.astimezone(UTC): digest for hour, digest in rows}
    behind = [hour for hour in hours if together.get(hour, sharded.DIFFER) == sharded.DIFFER]
    if behind:
        more = f" and {len(behind) - 1} hours more" if behind[1:] else ""
        raise ShardsBehindError(
            f"{behind[0]:%Y-%m-%dT%H}{more}: not every one of the {warehouse.shards} shards was rolled up "
            "from the same objects. Launch the job `rollup` for these hours, which does all of them."
        )
