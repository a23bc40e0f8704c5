"""Weights assets: one per model and adapter, each bringing a pinned commit into the local store.

Belongs here: what Dagster must know of a pull (key, metadata, progress in the run log), and the check
that reads back what is stored.
Does not: how bytes are moved and verified (slipway.artifacts).
"""

import dagster as dg

from assets import commits, failures, keys, kubernetes, metadata, retries
from assets.declared import Declared, declared
from resources.artifacts import WeightsResource
from slipway.catalog import Adapter, Catalog, Model

VERIFIED = "verified"


def weights_assets(catalog: Catalog) -> list[Declared]:
    """One asset per model that is hosted locally, and per adapter."""
    return [_weights(catalog, artifact) for artifact in _hosted(catalog)]


def weights_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """For each of them, whether the store still holds what was published. Run daily, not by a rollout."""
    return [_verified(catalog, artifact) for artifact in _hosted(catalog)]


def _hosted(catalog: Catalog) -> list[Model | Adapter]:
    return [*(model for model in catalog.models if model.host_locally), *catalog.adapters]


def _weights(catalog: Catalog, artifact: Model | Adapter) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.weights(artifact.name),
            description=artifact.description or None,
            code_version=artifact.source,
            kinds={"model" if isinstance(artifact, Model) else "adapter", "s3"},
        ),
        about=[artifact],
        op_tags=kubernetes.transfer_tags(catalog.settings),
    )
    def weights(
        context: dg.AssetExecutionContext, weights_store: WeightsResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            pulled = weights_store.pull(artifact, catalog.settings, progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_weights(pulled))

    return weights


def _verified(catalog: Catalog, artifact: Model | Adapter) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=keys.weights(artifact.name),
        name=VERIFIED,
        description=f"Reads the stored files back ({catalog.settings.weights_check}) and compares them.",
        retry_policy=retries.NETWORK,
    )
    def verified(
        context: dg.AssetCheckExecutionContext, weights_store: WeightsResource
    ) -> dg.AssetCheckResult:
        commit = commits.current(context.instance, artifact)
        if commit is None:
            return dg.AssetCheckResult(
                passed=False,
                severity=dg.AssetCheckSeverity.WARN,
                description="It was never pulled: materialize it first.",
            )
        with failures.explained():
            if not weights_store.is_published(artifact.name, commit):
                return dg.AssetCheckResult(
                    passed=False, description=f"{commit} is not in the store any more: materialize it again."
                )
            verified_files = weights_store.verify(
                artifact.name, commit, catalog.settings, progress=context.log.info
            )
        return metadata.of_verification(verified_files)

    return verified
