"""The warehouse made anew, to the last digit, from what is kept in the object store: prices, usage, samples.

Belongs here: which hours those are, the steps beside the old file, putting the new one in its place.
Does not: rolling up (slipway.metering), the hours of a schedule (accounting.py).

The old file stays until the new one has all that it holds, so that rollups go on meanwhile, and what is
interrupted has changed nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from slipway.billing import adjusting
from slipway.control import billing
from slipway.control.connections import Connections
from slipway.metering import fingerprint, gpu_costs, publish, replicas
from slipway.metering.price_table import bring_prices
from slipway.metering.rollup import HourSummary
from slipway.metering.shards.rolling import roll_up_all
from slipway.metering.shards.workers import workers
from slipway.metering.warehouse import Warehouse, WarehouseError
from slipway.records import replica_samples, usage

Say = Callable[[str], None]

_HOUR = timedelta(hours=1)
_HOURS_AT_ONCE = 24 * 7


class RebuildError(RuntimeError):
    """The warehouse cannot be made anew; the message says why, and what to do."""

    retriable = True


@dataclass(frozen=True)
class Rebuilt:
    """What the new warehouse holds. `strays` are prefixes of usage and samples that are no hour's."""

    usage: tuple[HourSummary, ...]
    sampled_hours: tuple[datetime, ...]
    strays: tuple[str, ...]

    @property
    def cost(self) -> dict[str, Decimal]:
        """The exact sum over all hours, by currency."""
        total: dict[str, Decimal] = {}
        for hour in self.usage:
            for currency, cost in hour.cost.items():
                total[currency] = total.get(currency, Decimal(0)) + cost
        return dict(sorted(total.items()))


def rebuild(at: Connections, say: Say, *, without_gone: bool = False) -> Rebuilt:
    """Make the warehouse's file anew and publish it, with every hour that has usage or samples in the store.

    Raises RebuildError when hours of the old file have lost usage objects since, unless it is to be made
    without them (`without_gone`); PriceHistoryError, ObjectStoreError, WarehouseError.
    """
    begun = datetime.now(UTC)
    with _alone(at.warehouse):
        usage_hours, usage_strays = _usage_hours(at, without_gone)
        sampled_hours, sample_strays = replica_samples.hours(at.store)
        _begin_history(at)
        anew = Warehouse(at.warehouse.directory / "rebuild", at.warehouse.shards)
        shutil.rmtree(anew.directory, ignore_errors=True)  # what a killed one left
        run_id = f"rebuild-{begun:%Y%m%dT%H%M%SZ}"
        summaries = _rolled_up(at, anew, usage_hours, run_id, say)
        _sampled(at, anew, sampled_hours, say)
        with at.warehouse.locked():
            # What others rolled up since is in the old file: the new one has to hold that, too.
            for summary in _rolled_up(at, anew, _changed(at, anew), run_id, say).values():
                summaries[summary.hour] = summary
            late = [hour for hour in replica_samples.hours(at.store)[0] if hour > begun - 2 * _HOUR]
            _sampled(at, anew, late, say)
            _billed(at, anew, run_id, begun, say)
            _put_in_place(anew, at.warehouse)
        sampled_hours = sorted({*sampled_hours, *late})
        _publish(at, sorted(summaries), sampled_hours, say)
    rolled_up = tuple(summaries[hour] for hour in sorted(summaries))
    return Rebuilt(rolled_up, tuple(sampled_hours), (*usage_strays, *sample_strays))


def _usage_hours(at: Connections, without_gone: bool) -> tuple[list[datetime], list[str]]:
    """The hours with usage in the store, and the prefixes that are no hour's. Raises RebuildError."""
    folders, strays = usage.hours(at.store)
    objects = {hour: count for hour, (_, count) in fingerprint.shipped_to(at.store, folders).items()}
    gone = [hour for hour, count in _counted(at).items() if objects.get(hour, 0) < count]
    if gone and not without_gone:
        raise RebuildError(
            f"the warehouse has {len(gone)} hours of which bucket {at.store.location.bucket} has fewer "
            f"usage objects than were rolled up: {', '.join(ranges(gone))}. Restore these objects from a "
            "backup, or give --without-gone to count without them. Nothing was changed."
        )
    return [hour for hour in folders if objects[hour]], strays  # some stores keep an emptied folder


def ranges(hours: Iterable[datetime]) -> list[str]:
    """Hours as people read them: `2026-03-10T09 to 2026-03-10T11`, one range for those without a gap."""
    spans: list[tuple[datetime, datetime]] = []
    for hour in sorted(hours):
        if spans and hour - spans[-1][1] == _HOUR:
            spans[-1] = (spans[-1][0], hour)
        else:
            spans.append((hour, hour))
    return [
        f"{first:%Y-%m-%dT%H}" if first == last else f"{first:%Y-%m-%dT%H} to {last:%Y-%m-%dT%H}"
        for first, last in spans
    ]


@contextmanager
def _alone(warehouse: Warehouse) -> Iterator[None]:
    """Be the only rebuild; rollups go on meanwhile."""
    from filelock import FileLock, Timeout

    warehouse.directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(warehouse.directory / "rebuild.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RebuildError(f"{warehouse.path}: is being made anew already. Wait for that to end.") from error
    try:
        yield
    finally:
        lock.release()


def _counted(at: Connections) -> dict[datetime, int]:
    """Usage objects by hour that the published copy was made of; none where it cannot be read."""
    if not at.metered.path.exists():
        return {}
    try:
        with at.metered.reading() as connection:
            rows = connection.execute("SELECT hour, objects FROM rollup_run ORDER BY hour").fetchall()
    except WarehouseError:
        return {}
    return {hour.astimezone(UTC): count for hour, count in rows}


def _begin_history(at: Connections) -> None:
    """A file of the version before has its prices alone: they begin the history before it goes."""
    if at.warehouse.path.exists():
        try:
            with at.warehouse.writing() as connection:
                bring_prices(at.store, connection, now=datetime.now(UTC))
        except WarehouseError:
            return  # it cannot be opened; rolling up says whether there is a history


def _rolled_up(
    at: Connections, anew: Warehouse, hours: Sequence[datetime], run_id: str, say: Say
) -> dict[datetime, HourSummary]:
    summaries: dict[datetime, HourSummary] = {}
    reading = workers(at.environment.intake_workers)
    for some in _pieces(hours):
        done = roll_up_all(at.store, anew, some, run_id=run_id, now=datetime.now(UTC), workers=reading)
        summaries |= {summary.hour: summary for summary in done}
        requests = sum(summary.requests for summary in done)
        say(f"usage, {_span(some)}: {requests} requests")
    return summaries


def _sampled(at: Connections, anew: Warehouse, hours: Sequence[datetime], say: Say) -> None:
    for some in _pieces(hours):
        done = replicas.roll_up(at.store, anew, some)
        say(f"samples, {_span(some)}: {sum(hour.instants for hour in done)} instants")


def _billed(at: Connections, anew: Warehouse, run_id: str, now: datetime, say: Say) -> None:
    """What was billed is brought as it was kept; what came since for closed months becomes adjustments."""
    with anew.writing() as connection:
        compared = adjusting.compare(at.store, connection, run_id, now)
        invoices = billing.restore(at, connection)
    found = len(compared.adjusted.rows) if compared.adjusted else 0
    say(f"bills: {len(invoices)} invoices, {found} adjustments more")


def _span(hours: Sequence[datetime]) -> str:
    return f"{len(hours)} hours from {hours[0]:%Y-%m-%dT%H} to {hours[-1]:%Y-%m-%dT%H}"


def _pieces(hours: Sequence[datetime]) -> Iterator[Sequence[datetime]]:
    for start in range(0, len(hours), _HOURS_AT_ONCE):
        yield hours[start : start + _HOURS_AT_ONCE]


def _changed(at: Connections, anew: Warehouse) -> list[datetime]:
    """Hours whose objects are not those that the new file was made from."""
    hours, _ = usage.hours(at.store)
    live = fingerprint.shipped_to(at.store, hours)
    with anew.writing() as connection:
        bring_prices(at.store, connection, now=datetime.now(UTC))  # where there is no usage at all, too
        gpu_costs.bring(at.store, connection)
        rows = connection.execute("SELECT hour, input_fingerprint FROM rollup_run").fetchall()
    made_from = {hour.astimezone(UTC): digest for hour, digest in rows}
    with_rows = [hour for hour in hours if live[hour][1] or hour in made_from]
    return [hour for hour in with_rows if made_from.get(hour) != live[hour][0]]


def _put_in_place(anew: Warehouse, warehouse: Warehouse) -> None:
    """Let the new file, and its shards, take the old one's place; the caller is the one writer of it."""
    for part, before in zip(anew.parts, warehouse.parts, strict=True):
        with before.locked():
            part.published_path.replace(before.published_path)
            _put_in_place(part, before)
    with anew.writing() as connection:
        connection.execute("CHECKPOINT")  # all of it is in the file, none in a log beside it
    log = ".duckdb.wal"
    anew.path.with_suffix(log).unlink(missing_ok=True)
    # The old log goes first: with the new file it would be taken for that one's.
    warehouse.path.with_suffix(log).unlink(missing_ok=True)
    anew.path.replace(warehouse.path)
    shutil.rmtree(anew.directory, ignore_errors=True)


def _publish(at: Connections, hours: Sequence[datetime], sampled_hours: Sequence[datetime], say: Say) -> None:
    published = publish.publish(at.warehouse, at.store, hours)
    days = sorted({hour.date() for hour in sampled_hours})
    keys = publish.publish_parquet(at.warehouse, at.store, days, [replicas.TABLE]) if days else []
    objects = len(published.parquet_keys) + len(keys)
    say(f"published {published.copy_bytes} bytes and {objects} Parquet objects")
