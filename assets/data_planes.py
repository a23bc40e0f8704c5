"""Data plane assets: one per Kubernetes cluster, with what it holds around deployments.

Belongs here: what Dagster must know of it, and the check of what an operator has to bring.
Does not: namespaces, quotas, policies and shared cards themselves (slipway.runtimes, slipway.dataplane).
"""

from collections.abc import Iterator

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import DATA_PLANE_TAG, Declared, declared
from resources.cluster_parts import ClusterPartsResource
from slipway.catalog import Catalog, data_planes, digests

STORE_SECRET = "store_secret"  # noqa: S105 (a check's name)


def data_plane_assets(catalog: Catalog) -> list[Declared]:
    """One asset per Kubernetes data plane that the catalog uses; none on plain Ray."""
    return [_data_plane(catalog, name) for name in data_planes.kubernetes(catalog)]


def _data_plane(catalog: Catalog, name: str) -> Declared:
    key = keys.data_plane(name)

    @declared(
        dg.AssetSpec(
            key,
            description=f"Namespaces, quotas, limits and network policies of the cluster {name}.",
            code_version=digests.of_data_plane(catalog, name),
            kinds={"kubernetes"},
            tags={DATA_PLANE_TAG: name},
        ),
        about=data_planes.deployments(catalog, name),
        checks=[
            dg.AssetCheckSpec(
                STORE_SECRET, asset=key, description="Every namespace has the store's credentials for pods."
            )
        ],
    )
    def data_plane(
        context: dg.AssetExecutionContext, cluster_parts: ClusterPartsResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with failures.explained():
            prepared = cluster_parts.prepare(catalog, name, progress=context.log.info)
        yield dg.MaterializeResult(
            metadata=metadata.of_mirror(
                digests.of_data_plane(catalog, name), metadata.of_plans(prepared.done)
            ),
            check_results=[metadata.of_store_secret(prepared, STORE_SECRET, key)],
        )

    return data_plane
