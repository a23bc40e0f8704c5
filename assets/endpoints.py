"""Endpoint assets: one per deployment, validated as a client would before tenant traffic reaches it.

Belongs here: the checks that Dagster shows, and that a failed one blocks the routes.
Does not: how a revision is probed, and the return to the last good one (slipway.dataplane).
"""

from collections.abc import Iterator

import dagster as dg

from assets import commits, failures, keys, metadata
from assets.declared import DATA_PLANE_TAG, Declared, declared
from resources.dataplane import DataPlaneResource, checks_of
from slipway.catalog import Catalog, Deployment


def endpoint_assets(catalog: Catalog) -> list[Declared]:
    """One asset per deployment, with one blocking check per promise of a client's validation."""
    return [_endpoint(catalog, deployment) for deployment in catalog.deployments]


def _endpoint(catalog: Catalog, deployment: Deployment) -> Declared:
    key, checks = keys.endpoint(deployment.name), checks_of(catalog.model(deployment.model).task)

    @declared(
        dg.AssetSpec(
            key,
            deps=[keys.rollout(deployment.name)],
            description=f"{deployment.name} as a client finds it, checked before any tenant does.",
            kinds={"openai"},
            tags={DATA_PLANE_TAG: deployment.data_plane},
        ),
        about=[deployment],
        checks=[dg.AssetCheckSpec(name, asset=key, blocking=True) for name in checks],
    )
    def endpoint(
        context: dg.AssetExecutionContext, data_plane: DataPlaneResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        with failures.explained():
            resolved = commits.resolved(context.instance, catalog, deployment)
            outcome = data_plane.validate_revision(resolved, progress=context.log.info)
        results = [
            dg.AssetCheckResult(
                check_name=result.name,
                asset_key=key,
                passed=result.passed,
                description=result.message,
                metadata=dict(result.evidence),
            )
            for result in outcome.results
        ]
        if not outcome.passed:
            # Checks alone: an endpoint that was refused is not materialized.
            yield from results
            raise dg.Failure(outcome.summary, allow_retries=False)
        yield dg.MaterializeResult(metadata=metadata.of_revision(outcome.revision), check_results=results)

    return endpoint
