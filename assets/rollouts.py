"""Rollout assets: one per deployment, each bringing its data plane to the catalog's spec.

Belongs here: what Dagster must know (key, dependencies, data plane, metadata).
Does not: what the objects look like (slipway.runtimes), how they get there (slipway.dataplane).
"""

import dagster as dg

from assets import commits, failures, keys, metadata
from assets.declared import DATA_PLANE_TAG, MODEL_TAG, Declared, declared
from resources.dataplane import DataPlaneResource
from slipway.catalog import Catalog, Deployment, data_planes
from slipway.catalog.resolved import declared_digest


def rollout_assets(catalog: Catalog) -> list[Declared]:
    """One asset per deployment."""
    return [_rollout(catalog, deployment) for deployment in catalog.deployments]


def _images(catalog: Catalog, deployment: Deployment) -> list[dg.AssetKey]:
    """The images of its engine, where it has any."""
    return [keys.image(deployment.engine)] if catalog.engine(deployment.engine).images else []


def _data_plane(catalog: Catalog, deployment: Deployment) -> list[dg.AssetKey]:
    """Its namespace with what is around it, where it is on Kubernetes."""
    name = deployment.data_plane
    on_it = deployment in data_planes.deployments(catalog, name)
    return [keys.data_plane(name)] if on_it else []


def _rollout(catalog: Catalog, deployment: Deployment) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.rollout(deployment.name),
            deps=[
                *(keys.weights(name) for name in commits.hosted(catalog, deployment)),
                *_images(catalog, deployment),
                *_data_plane(catalog, deployment),
            ],
            description=deployment.description or None,
            code_version=declared_digest(catalog, deployment),
            kinds={deployment.runtime},
            tags={MODEL_TAG: deployment.model, DATA_PLANE_TAG: deployment.data_plane},
        ),
        about=[deployment],
    )
    def rollout(
        context: dg.AssetExecutionContext, data_plane: DataPlaneResource
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            resolved = commits.resolved(context.instance, catalog, deployment)
            revision = data_plane.roll_out(resolved, catalog.settings, progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_revision(revision))

    return rollout
