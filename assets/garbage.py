"""Keeping the store in order: the daily asset that removes weights which nobody names any more.

Belongs here: what Dagster must know of it (key, metadata).
Does not: what is garbage, and removing it safely (slipway.artifacts).
"""

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import Declared, declared
from resources.artifacts import WeightsResource
from slipway.catalog import Catalog


def garbage_assets(catalog: Catalog) -> list[Declared]:
    """The collection of weights."""
    return [_weights_gc(catalog)]


def _weights_gc(catalog: Catalog) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.WEIGHTS_GC,
            description=(
                "Removes weights that neither the catalog nor any kept revision has named for "
                f"{catalog.settings.weights_grace_s} s. `slipway weights gc` says beforehand what would go."
            ),
            kinds={"s3"},
        )
    )
    def weights_gc(
        context: dg.AssetExecutionContext, weights_store: WeightsResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            collected = weights_store.collect(catalog, log=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_collection(collected))

    return weights_gc
