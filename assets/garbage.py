"""Keeping the store in order: the daily asset that removes weights which nobody names any more.

Belongs here: what Dagster must know of it (key, pool, retries, metadata).
Does not: what is garbage, and removing it safely (slipway.artifacts).
"""

import dagster as dg

from assets import failures, keys, metadata, pools, retries
from resources.artifacts import WeightsResource
from slipway.catalog import Catalog


def garbage_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """The collection of weights."""
    return [_weights_gc(catalog)]


def _weights_gc(catalog: Catalog) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.WEIGHTS_GC,
        description=(
            "Removes weights that neither the catalog nor any kept revision has named for "
            f"{catalog.settings.weights_grace_s} s. `slipway weights gc` says beforehand what would go."
        ),
        group_name="maintenance",
        kinds={"s3"},
        pool=pools.GARBAGE,
        retry_policy=retries.NETWORK,
    )
    def weights_gc(
        context: dg.AssetExecutionContext, weights_store: WeightsResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            found = weights_store.collect(catalog, log=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_collection(found))

    return weights_gc
