"""Keeping usage in few objects: the daily asset that compacts hours which are long over.

Belongs here: what Dagster must know of it (key, metadata).
Does not: what is compacted and when small objects go (slipway.metering.compaction).

Daily, and not with each rollup: an hour is compacted when late events are no longer to be expected, which is
days after it was rolled up, and what waits a day more costs nothing.
"""

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from resources.warehouse import WarehouseResource


def compaction_assets() -> list[Declared]:
    """The compaction of usage."""
    return [_usage_compaction()]


def _usage_compaction() -> Declared:
    @declared(
        dg.AssetSpec(
            keys.USAGE_COMPACTION,
            description=(
                "Lets the small usage objects of each hour that is long over become one Parquet object. They "
                "go a day later, when that was read back. `slipway warehouse compact` does the same."
            ),
            kinds={"s3", "duckdb"},
        )
    )
    def usage_compaction(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            compacted = warehouse.compact_usage(progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_compaction(compacted))

    return usage_compaction
