"""Replica assets: what ran, by hour and deployment; with usage it says what a request costs to serve.

Belongs here: partitions, per-hour metadata, the check that all samples could be read.
Does not: sampling (sensors.replica_samples), the table and its SQL (slipway.metering).
"""

from collections.abc import Iterator

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from assets.partitions import HOURLY, hour_of, key_of
from resources.warehouse import WarehouseResource

READABLE = "samples_readable"


def replica_assets() -> list[Declared]:
    """Replica-seconds and GPU-seconds by hour."""
    return [_replicas()]


def _replicas() -> Declared:
    @declared(
        dg.AssetSpec(
            keys.REPLICAS,
            description="Replica-seconds and GPU-seconds per deployment and GPU class, from samples.",
            kinds={"duckdb"},
            partitions_def=HOURLY,
        ),
        checks=[dg.AssetCheckSpec(READABLE, asset=keys.REPLICAS)],
    )
    def replicas_hourly(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        hours = [hour_of(key) for key in context.partition_keys]
        with failures.explained():
            sampled = warehouse.roll_up_replicas(hours, progress=context.log.info)
        for sampled_hour in sampled:
            context.add_asset_metadata(
                metadata.of_sampled(sampled_hour),
                asset_key=keys.REPLICAS,
                partition_key=key_of(sampled_hour.hour),
            )
        yield dg.MaterializeResult(check_results=[metadata.of_unreadable(sampled, READABLE, keys.REPLICAS)])

    return replicas_hourly
