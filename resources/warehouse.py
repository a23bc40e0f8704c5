"""The warehouse as a resource: rollups that end in a published copy, prices, and checks.

Belongs here: building the domain's clients, and which asset each check is shown at.
Does not: the tables and their SQL (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from resources.environment import EnvironmentResource, StoreResource
from slipway.catalog import Catalog
from slipway.control import observing
from slipway.control.connections import Connections
from slipway.control.differences import Untold
from slipway.metering import price_table, prices, publish, replicas, rollup
from slipway.metering.checks import CheckResult as Check
from slipway.metering.checks import evaluate
from slipway.metering.prices import PriceRow
from slipway.metering.published import PublishedCopy
from slipway.metering.replicas import SampledHour
from slipway.metering.rollup import HourSummary
from slipway.metering.warehouse import Warehouse

__all__ = ["CHECKS", "Check", "HourSummary", "RollupReport", "SampledHour", "WarehouseResource"]

# Each check of slipway.metering.checks, and the asset that it says most about.
CHECKS = {
    "conflicts": "usage/requests",
    "quarantined": "usage/requests",
    "keys_unique": "metering/usage_hourly",
    "tokens_conserved": "metering/usage_hourly",
    "unpriced": "metering/cost_hourly",
    "cost_reconciles": "metering/cost_hourly",
}


@dataclass(frozen=True)
class RollupReport:
    """What a rollup did: a summary per hour, and the checks over all of them."""

    hours: tuple[HourSummary, ...]
    checks: tuple[Check, ...]


class WarehouseResource(dg.ConfigurableResource[None]):
    """The DuckDB file of this code location; one writer at a time (pool `warehouse`)."""

    environment: EnvironmentResource
    store: StoreResource

    def roll_up(
        self, hours: Sequence[datetime], run_id: str, progress: Callable[[str], None]
    ) -> RollupReport:
        """Replace the rows of these hours, publish the copy, and check what was published.

        Prices are taken from the table as `sync_prices` left it.
        """
        warehouse, store = self._warehouse(), self.store.connect()
        summaries = rollup.roll_up(store, warehouse, hours, run_id=run_id, now=datetime.now(UTC))
        events = sum(summary.requests for summary in summaries)
        progress(f"{events} requests in {len(summaries)} hours")
        published = publish.publish(warehouse, store, hours)
        progress(f"published {published.copy_bytes} bytes and {len(published.parquet_keys)} Parquet objects")
        return RollupReport(tuple(summaries), evaluate(PublishedCopy(warehouse.directory), hours))

    def roll_up_replicas(
        self, hours: Sequence[datetime], progress: Callable[[str], None]
    ) -> list[SampledHour]:
        """Replace the rows of what ran in these hours, and publish them."""
        warehouse, store = self._warehouse(), self.store.connect()
        sampled = replicas.roll_up(store, warehouse, hours)
        progress(f"{sum(each.instants for each in sampled)} samples in {len(sampled)} hours")
        publish.publish_copy(warehouse)
        days = sorted({hour.astimezone(UTC).date() for hour in hours})
        publish.publish_parquet(warehouse, store, days, [replicas.TABLE])
        return sampled

    def sync_prices(self, catalog: Catalog) -> Mapping[str, int]:
        """Bring the price table to the catalog, and publish it. Raises ClosedPriceError."""
        warehouse = self._warehouse()
        synced = price_table.sync_prices(warehouse, prices.schedules(catalog), now=datetime.now(UTC))
        publish.publish_copy(warehouse)
        return {"added": len(synced.added), "removed": len(synced.removed)}

    def prices(self) -> Sequence[PriceRow] | Untold | None:
        """The price table as published; None when nothing was."""
        return observing.price_rows(Connections(self.environment.read()))

    def _warehouse(self) -> Warehouse:
        return Warehouse(self.environment.read().warehouse_dir)
