"""Weights assets: one per model and adapter, each bringing a pinned commit into the local store.

Belongs here: what Dagster must know of a pull (key, pool, retries, metadata, progress in the run log).
Does not: how bytes are moved and verified (slipway.artifacts).
"""

import dagster as dg

from assets import failures, keys, metadata, pools, retries
from resources.artifacts import WeightsResource
from slipway.catalog import Adapter, Catalog, Model


def weights_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """One asset per model that is hosted locally, and per adapter."""
    models = [_weights(catalog, model) for model in catalog.models if model.host_locally]
    return models + [_weights(catalog, adapter) for adapter in catalog.adapters]


def _weights(catalog: Catalog, artifact: Model | Adapter) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.weights(artifact.name),
        description=artifact.description or None,
        code_version=artifact.source,
        group_name="weights",
        kinds={"model" if isinstance(artifact, Model) else "adapter", "s3"},
        owners=[artifact.owner] if artifact.owner else None,
        pool=pools.HUB,
        retry_policy=retries.NETWORK,
    )
    def weights(
        context: dg.AssetExecutionContext, weights_store: WeightsResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            pulled = weights_store.pull(artifact, catalog.settings, progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_weights(pulled))

    return weights
