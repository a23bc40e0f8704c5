"""A warehouse of several shards: usage taken in once for all, and each shard's rows, a step each.

Belongs here: what Dagster must know of them (keys, metadata). With the setting `rollup_executor`
each step is a pod of its own.
Does not: what is done (slipway.metering.shards), all shards as one (metering.py).
"""

from datetime import datetime

import dagster as dg

from assets import failures, keys
from assets.declared import Declared, declared
from assets.partitions import HOURLY, hour_of
from assets.retries import done_by
from resources.warehouse import WarehouseResource


def shard_assets(shards: int) -> list[Declared]:
    """The intake, and an asset for each shard."""
    return [_intake(), *(_shard(number, shards) for number in range(shards))]


def _intake() -> Declared:
    @declared(
        dg.AssetSpec(
            keys.INTAKE,
            description="Usage of the hour, read and each request once, in a part for each shard.",
            kinds={"s3", "duckdb"},
            partitions_def=HOURLY,
        ),
    )
    def usage_intake(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            taken = warehouse.take_in(_hours(context), progress=context.log.info)
        return dg.MaterializeResult(
            metadata={
                "hours": len(taken),
                "objects": sum(each.objects for each in taken),
                "duplicates": sum(each.duplicates for each in taken),
                "conflicts": sum(each.conflicts for each in taken),
                "size_bytes": sum(each.size_bytes for each in taken),
            }
        )

    return usage_intake


def _shard(number: int, shards: int) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.shard(number),
            deps=[keys.INTAKE, keys.PRICES],
            description=f"Rows of the organisations and deployments of shard {number} of {shards}.",
            kinds={"duckdb"},
            partitions_def=HOURLY,
        ),
    )
    def shard(context: dg.AssetExecutionContext, warehouse: WarehouseResource) -> dg.MaterializeResult[None]:
        with failures.explained():
            requests = warehouse.roll_up_shard(
                number, _hours(context), run_id=context.run_id, progress=context.log.info,
                done_by=done_by(context.run),
            )  # fmt: skip
        return dg.MaterializeResult(metadata={"requests": requests})

    return shard


def _hours(context: dg.AssetExecutionContext) -> list[datetime]:
    return [hour_of(key) for key in context.partition_keys]
