"""The warehouse as a resource: rollups that end in a published copy, prices, and checks.

Belongs here: building control's connections, and which asset each check is shown at.
Does not: the steps (slipway.control.accounting), the tables and their SQL (slipway.metering).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from resources.environment import EnvironmentResource
from slipway.catalog import Catalog
from slipway.control import accounting, observing, reporting
from slipway.control.accounting import RollupReport
from slipway.control.connections import Connections
from slipway.control.differences import Prices, Untold
from slipway.control.reporting import KINDS as REPORTS
from slipway.control.reporting import Reported
from slipway.metering.checks import CheckResult as Check
from slipway.metering.compaction import CompactedHour
from slipway.metering.gpu_costs import Economics
from slipway.metering.replicas import SampledHour
from slipway.metering.rollup import HourSummary
from slipway.metering.staleness import StaleHour, Survey
from slipway.records.intake import Intake

__all__ = [
    "CHECKS",
    "REPORTS",
    "Check",
    "CompactedHour",
    "Economics",
    "HourSummary",
    "Intake",
    "Reported",
    "RollupReport",
    "SampledHour",
    "StaleHour",
    "Survey",
    "WarehouseResource",
]

# Each check of slipway.metering.checks, and the asset that it says most about.
CHECKS = {
    "conflicts": "usage/requests",
    "quarantined": "usage/requests",
    "keys_unique": "metering/usage_hourly",
    "tokens_conserved": "metering/usage_hourly",
    "unpriced": "metering/cost_hourly",
    "cost_reconciles": "metering/cost_hourly",
    "continuity": "usage/requests",
    "gateway_counters": "usage/requests",
}


class WarehouseResource(dg.ConfigurableResource[None]):
    """The DuckDB file of this code location; one writer at a time (pool `warehouse`)."""

    environment: EnvironmentResource

    def roll_up(
        self,
        hours: Sequence[datetime],
        run_id: str,
        progress: Callable[[str], None],
        done_by: Collection[str] = (),
    ) -> RollupReport:
        """Replace the rows of these hours, publish the copy, and check what was published.

        What one of the runs `done_by` did is not done again. Of a warehouse with shards, whose rows of these
        hours are there (`roll_up_shard`), the last two.
        """
        at = self._connected()
        if at.warehouse.parts:
            return accounting.bring_together(at, hours, run_id, progress)
        return accounting.roll_up(at, hours, run_id, progress, done_by=done_by)

    def take_in(self, hours: Sequence[datetime], progress: Callable[[str], None]) -> list[Intake]:
        """Read the usage of these hours once, for all shards."""
        return accounting.take_in(self._connected(), hours, progress)

    def roll_up_shard(
        self,
        shard: int,
        hours: Sequence[datetime],
        run_id: str,
        progress: Callable[[str], None],
        done_by: Collection[str] = (),
    ) -> int:
        """Replace a shard's rows of these hours, which were taken in; returns the number of its requests."""
        return accounting.roll_up_shard(self._connected(), shard, hours, run_id, progress, done_by=done_by)

    def late_usage(self, now: datetime, earliest: datetime, after: datetime | None) -> Survey:
        """Which hours differ in the store from what was rolled up; raises MissingSettingError."""
        return accounting.late_usage(self._connected(), now, earliest, after)

    def compact_usage(self, progress: Callable[[str], None]) -> list[CompactedHour]:
        """Compact the usage of hours that are long over; those in which something was done."""
        return accounting.compact_usage(self._connected(), datetime.now(UTC), progress)

    def roll_up_replicas(
        self, hours: Sequence[datetime], progress: Callable[[str], None]
    ) -> list[SampledHour]:
        """Replace the rows of what ran in these hours, and publish them."""
        return accounting.roll_up_replicas(self._connected(), hours, progress)

    def economics(
        self, catalog: Catalog, hours: Sequence[datetime], progress: Callable[[str], None]
    ) -> list[Economics]:
        """What these hours earned and their GPUs cost, by the catalog's prices of GPUs."""
        return accounting.economics(self._connected(), catalog, hours, progress)

    def report(self, kind: str) -> Reported:
        """Make the page of one of REPORTS and keep it in the store."""
        return reporting.report(self._connected(), kind, datetime.now(UTC))

    def sync_prices(self, catalog: Catalog) -> Mapping[str, int]:
        """Bring the price table to the catalog, and publish it. Raises ClosedPriceError."""
        synced = accounting.sync_prices(self._connected(), catalog)
        return {"added": len(synced.added), "removed": len(synced.removed)}

    def prices(self) -> Prices | Untold:
        """The prices that were taken, and the published table of them."""
        return observing.prices(self._connected())

    def _connected(self) -> Connections:
        return Connections(self.environment.read())
