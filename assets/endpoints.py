"""Endpoint assets: one per deployment, validated as a client would before tenant traffic reaches it.

Belongs here: the checks that Dagster shows, and that a failed one blocks the routes.
Does not: how a revision is probed, and the return to the last good one (slipway.dataplane).
"""

from collections.abc import Iterator

import dagster as dg

from assets import commits, failures, keys, metadata, pools
from resources.dataplane import DataPlaneResource, checks_of
from slipway.catalog import Catalog, Deployment


def endpoint_assets(catalog: Catalog) -> list[dg.AssetsDefinition]:
    """One asset per deployment, with one blocking check per promise of a client's validation."""
    return [_endpoint(catalog, deployment) for deployment in catalog.deployments]


def check_keys(deployment: str, task: str) -> list[dg.AssetCheckKey]:
    """Keys of those checks of one deployment, by its model's task."""
    return [dg.AssetCheckKey(keys.endpoint(deployment), name) for name in checks_of(task)]


def _endpoint(catalog: Catalog, deployment: Deployment) -> dg.AssetsDefinition:
    key, checks = keys.endpoint(deployment.name), checks_of(catalog.model(deployment.model).task)

    @dg.asset(
        key=key,
        deps=[keys.rollout(deployment.name)],
        description=f"{deployment.name} as a client finds it, checked before any tenant does.",
        group_name="endpoints",
        kinds={"openai"},
        owners=[deployment.owner] if deployment.owner else None,
        pool=pools.data_plane(deployment.data_plane),
        check_specs=[dg.AssetCheckSpec(name, asset=key, blocking=True) for name in checks],
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
