"""Metering as it is run: hours rolled up, checked and published; prices brought to the catalog.

Belongs here: the steps of each, in order, over the warehouse and the store.
Does not: tables, SQL, rating and checks themselves (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from slipway.catalog import Catalog
from slipway.control import billing
from slipway.control.connections import Connections
from slipway.metering import compaction, gpu_costs, price_table, prices, publish, replicas
from slipway.metering.checks import CheckResult, evaluate
from slipway.metering.compaction import CompactedHour
from slipway.metering.periods import Period
from slipway.metering.price_table import PriceSync
from slipway.metering.replicas import SampledHour
from slipway.metering.rollup import HourSummary
from slipway.metering.shards import intake, rolling
from slipway.metering.shards.workers import workers
from slipway.metering.staleness import Survey, survey
from slipway.records import usage
from slipway.records.intake import Intake
from slipway.records.usage import hour_of

Say = Callable[[str], None]


@dataclass(frozen=True)
class RollupReport:
    """What a rollup did: a summary per hour, and the checks over all of them."""

    hours: tuple[HourSummary, ...]
    checks: tuple[CheckResult, ...]


def roll_up(
    at: Connections, hours: Sequence[datetime], run_id: str, say: Say, *, done_by: Collection[str] = ()
) -> RollupReport:
    """Replace the rows of these hours, publish the copy, and check what was published; shards one by one.

    What one of the runs `done_by` did is not done again, where nothing came since. Prices are those that were
    taken by then; PriceHistoryError when none ever were.
    """
    reading = workers(at.environment.intake_workers)
    summaries = rolling.roll_up_all(
        at.store, at.warehouse, hours,
        run_id=run_id, now=datetime.now(UTC), workers=reading, done_by=done_by, say=say,
    )  # fmt: skip
    return _published(at, hours, summaries, run_id, say)


def backfilled(period: Period, now: datetime) -> list[datetime]:
    """The hours of a period that a backfill rolls up: those that have begun. Raises ValueError for none."""
    end = min(period.end, hour_of(now) + timedelta(hours=1))
    hours = [period.start + timedelta(hours=n) for n in range((end - period.start) // timedelta(hours=1))]
    if not hours:
        raise ValueError(f"{period}: is in the future. Give hours that have begun.")
    return hours


def bring_together(at: Connections, hours: Sequence[datetime], run_id: str, say: Say) -> RollupReport:
    """The end of `roll_up` where `take_in` and `roll_up_shard` were done for these hours."""
    summaries = rolling.bring_together(at.store, at.warehouse, hours, now=datetime.now(UTC))
    return _published(at, hours, summaries, run_id, say)


def _published(
    at: Connections, hours: Sequence[datetime], summaries: Sequence[HourSummary], run_id: str, say: Say
) -> RollupReport:
    events = sum(summary.requests for summary in summaries)
    say(f"{events} requests in {len(summaries)} hours")
    billing.adjust(at, hours, run_id, datetime.now(UTC), say)
    published = publish.publish(at.warehouse, at.store, hours)
    say(f"published {published.copy_bytes} bytes and {len(published.parquet_keys)} Parquet objects")
    return RollupReport(tuple(summaries), evaluate(at.metered, hours))


def take_in(at: Connections, hours: Sequence[datetime], say: Say) -> list[Intake]:
    """Read the usage of these hours once, for all shards of the warehouse."""
    reading = workers(at.environment.intake_workers)
    return intake.take_in(
        at.store, hours, at.warehouse.shards, now=datetime.now(UTC), workers=reading, say=say
    )


def roll_up_shard(
    at: Connections,
    shard: int,
    hours: Sequence[datetime],
    run_id: str,
    say: Say,
    *,
    done_by: Collection[str] = (),
) -> int:
    """Replace a shard's rows of these hours, which were taken in; returns the number of its requests."""
    return rolling.roll_up_shard(
        at.store, at.warehouse, shard, hours,
        run_id=run_id, now=datetime.now(UTC), done_by=done_by, say=say,
    )  # fmt: skip


def late_usage(at: Connections, now: datetime, earliest: datetime, after: datetime | None) -> Survey:
    """Which hours since `earliest` differ in the store from what was rolled up; see staleness.survey."""
    return survey(at.store, at.warehouse, now=now, earliest=earliest, after=after)


def compact_usage(
    at: Connections,
    now: datetime,
    say: Say,
    *,
    after: timedelta = compaction.AFTER,
    grace: timedelta = compaction.GRACE,
) -> list[CompactedHour]:
    """Compact the usage of every hour that has settled, and remove what was compacted long enough ago."""
    hours, _ = usage.hours(at.store)
    compacted = []
    for each in compaction.compact(at.store, at.warehouse, hours, now=now, after=after, grace=grace):
        compacted.append(each)
        if each.made is not None:
            say(
                f"{each.hour:%Y-%m-%dT%H}: {each.made.contents.lines} lines of {len(each.made.made_of)} "
                f"objects became one of {each.made.stored.size_bytes} bytes"
            )
        if each.removed:
            say(f"{each.hour:%Y-%m-%dT%H}: {each.removed} objects removed")
    return compacted


def roll_up_replicas(at: Connections, hours: Sequence[datetime], say: Say) -> list[SampledHour]:
    """Replace the rows of what ran in these hours, and publish them."""
    sampled = replicas.roll_up(at.store, at.warehouse, hours)
    say(f"{sum(hour.instants for hour in sampled)} samples in {len(sampled)} hours")
    publish.publish_copy(at.warehouse)
    days = sorted({hour.astimezone(UTC).date() for hour in hours})
    publish.publish_parquet(at.warehouse, at.store, days, [replicas.TABLE])
    return sampled


def economics(
    at: Connections, catalog: Catalog, hours: Sequence[datetime], say: Say
) -> list[gpu_costs.Economics]:
    """Take the catalog's GPU prices, and say what these hours earned and cost by them."""
    if gpu_costs.take(at.store, at.warehouse, catalog.settings.gpu_prices, datetime.now(UTC)):
        say("the prices of GPUs are others now")
        publish.publish_copy(at.warehouse)
    return gpu_costs.by_hour(at.metered, hours)


def sync_prices(at: Connections, catalog: Catalog) -> PriceSync:
    """Take the catalog's prices into the history, and publish the table. Raises ClosedPriceError."""
    synced = price_table.sync_prices(at.store, at.warehouse, prices.schedules(catalog), now=datetime.now(UTC))
    publish.publish_copy(at.warehouse)
    return synced
