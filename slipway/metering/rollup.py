"""The rollup: usage objects of some hours become rows of latency, usage and cost, exactly once.

Belongs here: chunks, their transactions, and what a run says of each hour.
Does not: the arithmetic (sql/), reading objects (loading.py), publishing (publish.py), when to run (assets).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from slipway.metering import continuity
from slipway.metering.fingerprint import HourOfUsage, fingerprint, list_hours
from slipway.metering.loading import insert_hours, load_lines
from slipway.metering.price_table import bring_prices
from slipway.metering.rating import ReRated, note_prices, rate
from slipway.metering.reading import Scratch, scratch
from slipway.metering.warehouse import (
    USAGE_TABLES,
    Warehouse,
    delete_hours,
    mark_unpublished,
    sql,
    transaction,
)
from slipway.objectstore import ObjectStore
from slipway.records.usage import NO_UNITS, Units, hour_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAX_CHUNK_HOURS = 24
_TURN_S = 0.1  # twice as long as who waits for a lock sleeps between looking
# Compressed bytes of one chunk: some ten million events, whose exact quantiles still fit into memory.
MAX_CHUNK_BYTES = 512 * 2**20

Say = Callable[[str], None]

_UNITS = len(fields(Units))


@dataclass(frozen=True)
class HourSummary:
    """What one hour held when it was rolled up; `cost` is exact, by currency; `final` once it was over."""

    hour: datetime
    run_id: str
    final: bool
    objects: int
    rows_in: int
    requests: int
    duplicates: int
    conflicts: int
    unpriced: int
    quarantined: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    units: Units = NO_UNITS
    cost: Mapping[str, Decimal] = field(default_factory=dict)
    # Every currency that there is a price in, used in this hour or not.
    currencies: tuple[str, ...] = ()
    # Of all deployments together, by `<metric>_<quantile>_ms`; what was not measured is not in it.
    latency_ms: Mapping[str, float] = field(default_factory=dict)


def roll_up(
    store: ObjectStore,
    warehouse: Warehouse,
    hours: Sequence[datetime],
    *,
    run_id: str,
    now: datetime,
    done_by: Collection[str] = (),
    say: Say = lambda _: None,
) -> list[HourSummary]:
    """Replace the rows of these hours by what their usage objects say now; one summary per hour, in order.

    Where prices have tiers, later hours of the month may cost something else for it: `say` is told which, and
    of several days how far it has come. Other writers have their turn after each day. Hours that one of the
    runs `done_by` left as their objects are now are not done again.

    Prices are those of the price history. Each chunk is one transaction: a run that dies has replaced whole
    chunks or nothing, and running it again gives the same rows. Readers see them after `publish`. Raises
    ObjectStoreError, WarehouseError, DamagedObjectError, PriceHistoryError without a price history, and
    ValueError for an hour that does not start one.
    """
    summaries: list[HourSummary] = []
    for some in in_turns({_checked(hour) for hour in hours}):
        with warehouse.writing() as connection:
            bring_prices(store, connection, now=now)
            # Listed as the one writer: another one that went first may have seen objects which came later.
            listing = list_hours(store, some)
            done = done_hours(
                connection, {hour: fingerprint(each.shipped) for hour, each in listing.items()}, done_by
            )
            wanted = {hour: contents for hour, contents in listing.items() if hour not in done}
            for rerated in _roll_up_some(connection, store, warehouse, wanted, run_id, now):
                say(rerated.told())
            summaries += summaries_of(connection, some)
        if len(hours) > len(some):
            before = f", {len(done)} of them before" if done else ""
            say(f"{some[0]:%Y-%m-%dT%H} to {some[-1]:%Y-%m-%dT%H}: {len(some)} hours rolled up{before}")
    return summaries


def in_turns(hours: Iterable[datetime]) -> Iterator[list[datetime]]:
    """The hours, in order, in parts of at most a day; a moment between them, in which another writer begins.

    A backfill of a month is one run, and the schedule's rollup waits for a day of it at most.
    """
    asked = sorted(hours)
    for start in range(0, len(asked), _MAX_CHUNK_HOURS):
        if start:
            time.sleep(_TURN_S)
        yield asked[start : start + _MAX_CHUNK_HOURS]


def done_hours(
    connection: DuckDBPyConnection, fingerprints: Mapping[datetime, str], done_by: Collection[str]
) -> set[datetime]:
    """Those of the hours that one of these runs rolled up, over by then, from the objects that they have."""
    if not done_by:
        return set()
    rows = connection.execute(
        "SELECT hour, input_fingerprint FROM rollup_run "
        "WHERE final AND run_id IN (SELECT unnest($runs::VARCHAR[]))",
        {"runs": sorted(done_by)},
    ).fetchall()
    by_run = {hour.astimezone(UTC): digest for hour, digest in rows}
    return {hour for hour, digest in fingerprints.items() if by_run.get(hour) == digest}


def _roll_up_some(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    warehouse: Warehouse,
    listing: Mapping[datetime, HourOfUsage],
    run_id: str,
    now: datetime,
) -> Iterator[ReRated]:
    sizes = {hour: contents.size_bytes for hour, contents in listing.items()}
    with scratch(warehouse.spill_dir) as file:
        for chunk in chunks(sizes):
            connection.execute(sql("chunk_begin"))
            _load(connection, store, {hour: listing[hour] for hour in chunk}, now, file)
            continuity.load(connection, store, chunk)
            with transaction(connection):
                later = _replace_rows(connection, chunk, run_id, now)
            yield from later


def chunks(sizes: Mapping[datetime, int]) -> list[list[datetime]]:
    """Cut the hours, in order, into chunks of at most a day and so many bytes; a larger hour stands alone."""
    cut: list[list[datetime]] = []
    chunk_bytes = 0
    for hour in sorted(sizes):
        if not cut or len(cut[-1]) >= _MAX_CHUNK_HOURS or chunk_bytes + sizes[hour] > MAX_CHUNK_BYTES:
            cut.append([])
            chunk_bytes = 0
        cut[-1].append(hour)
        chunk_bytes += sizes[hour]
    return cut


def _checked(hour: datetime) -> datetime:
    if hour.tzinfo is None or hour_of(hour) != hour:
        raise ValueError(
            f"hour = {hour.isoformat()}: not the start of an hour with a time zone. Use hour_of()."
        )
    return hour.astimezone(UTC)


def _load(
    connection: DuckDBPyConnection,
    store: ObjectStore,
    listing: Mapping[datetime, HourOfUsage],
    now: datetime,
    file: Scratch,
) -> None:
    """Fill the chunk's temporary tables: chunk_hour, request (each id once), copies and unreadable."""
    shipped = load_lines(connection, store, listing, file)
    connection.execute(sql("deduplicate"))
    insert_hours(connection, shipped, now)


def _replace_rows(
    connection: DuckDBPyConnection, chunk: Sequence[datetime], run_id: str, now: datetime
) -> list[ReRated]:
    """DELETE and INSERT of the chunk's hours, within the caller's transaction; and later ones re-rated."""
    for table in USAGE_TABLES:
        delete_hours(connection, table, chunk)
    insert_latency(connection, run_id)
    later = insert_usage(connection, chunk, run_id, now)
    connection.execute(sql("gateway_hourly"))
    mark_unpublished(connection, USAGE_TABLES, chunk)
    return later


def insert_latency(connection: DuckDBPyConnection, run_id: str) -> None:
    """Rows of the chunk by deployment, of all its requests in `request`."""
    connection.execute(sql("deployment_hourly"), {"run_id": run_id})
    connection.execute(sql("latency_hist_hourly"))
    connection.execute(sql("latency_hist_periods"))


def insert_usage(
    connection: DuckDBPyConnection, chunk: Sequence[datetime], run_id: str, now: datetime
) -> list[ReRated]:
    """Rows of the chunk by organisation, of all its requests in `request`; and later hours re-rated."""
    connection.execute(sql("latency_by_key_hourly"))
    connection.execute(sql("metered"))
    connection.execute(sql("usage_hourly"))
    note_prices(connection, chunk)
    later = rate(connection, chunk)
    connection.execute(sql("quarantine"), {"run_id": run_id})
    connection.execute(sql("rollup_run"), {"run_id": run_id, "now": now})
    return later


def summaries_of(connection: DuckDBPyConnection, chunk: Sequence[datetime]) -> list[HourSummary]:
    """What these hours held, of those that were rolled up, in order."""
    summaries: dict[datetime, HourSummary] = {}
    costs: dict[datetime, dict[str, Decimal]] = {}
    for *columns, currency, cost in connection.execute(
        sql("hour_summaries"), {"hours": list(chunk)}
    ).fetchall():
        hour = columns[0].astimezone(UTC)
        costs.setdefault(hour, {})
        if currency is not None:
            costs[hour][currency] = cost
        values: list[Any] = [hour, *columns[1:-_UNITS], Units(*columns[-_UNITS:]), costs[hour]]
        summaries[hour] = HourSummary(*values)
    currencies = tuple(
        currency
        for (currency,) in connection.execute(
            "SELECT DISTINCT currency FROM price WHERE currency IS NOT NULL ORDER BY ALL"
        ).fetchall()
    )
    latency = _latency(connection, chunk)
    return [
        replace(summary, currencies=currencies, latency_ms=latency.get(hour, {}))
        for hour, summary in summaries.items()
    ]


def _latency(connection: DuckDBPyConnection, chunk: Sequence[datetime]) -> dict[datetime, dict[str, float]]:
    latency: dict[datetime, dict[str, float]] = {}
    rows = connection.execute(sql("hour_latency"), {"hours": list(chunk)}).fetchall()
    for hour, metric, p50, p95 in rows:
        of_hour = latency.setdefault(hour.astimezone(UTC), {})
        of_hour |= {f"{metric}_p50_ms": p50, f"{metric}_p95_ms": p95}
    return latency
