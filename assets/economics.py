"""The asset of unit economics: what deployments earned beside what their GPUs cost, by the hour.

Belongs here: partitions, and per-hour numbers for the plots.
Does not: the view and its SQL (slipway.metering), the page (reports.py).
"""

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from assets.partitions import HOURLY, hour_of, key_of
from resources.warehouse import WarehouseResource
from slipway.catalog import Catalog


def economics_assets(catalog: Catalog) -> list[Declared]:
    """Margins by the hour; with the catalog, which has the prices of GPUs."""

    @declared(
        dg.AssetSpec(
            keys.ECONOMICS,
            deps=[keys.COST, keys.REPLICAS],
            description="What was earned, what the GPUs cost that ran for it, and the margin, by currency.",
            kinds={"duckdb"},
            partitions_def=HOURLY,
        )
    )
    def economics_hourly(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        hours = [hour_of(key) for key in context.partition_keys]
        with failures.explained():
            rows = warehouse.economics(catalog, hours, progress=context.log.info)
        for hour in hours:
            context.add_asset_metadata(
                metadata.of_economics([row for row in rows if row.hour == hour]),
                asset_key=keys.ECONOMICS,
                partition_key=key_of(hour),
            )
        return dg.MaterializeResult()

    return [economics_hourly]
