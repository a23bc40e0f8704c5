"""Gateway assets: one per endpoint, the tenant gateway on Kubernetes with its public side.

Belongs here: what Dagster must know of it, and checks of what other controllers do with the public side.
Does not: the route table that all gateways follow (routes.py), the objects (slipway.runtimes).
"""

from collections.abc import Iterator

import dagster as dg

from assets import failures, keys, metadata
from assets.declared import DATA_PLANE_TAG, Declared, declared
from resources.cluster_parts import ClusterPartsResource
from slipway.catalog import Catalog, Endpoint, data_planes, digests

EDGE_CHECKS = {
    "edge_programmed": "The load balancer has taken the Gateway.",
    "certificate_ready": "The host's certificate is there.",
}


def endpoint_gateway_assets(catalog: Catalog) -> list[Declared]:
    """One asset per endpoint whose gateway runs on Kubernetes; none on plain Ray."""
    return [_gateway(catalog, endpoint, plane) for endpoint, plane in _placed(catalog)]


def gateway_keys(catalog: Catalog) -> list[dg.AssetKey]:
    """Keys of those assets."""
    return [keys.gateway(endpoint.name) for endpoint, _ in _placed(catalog)]


def _placed(catalog: Catalog) -> list[tuple[Endpoint, str]]:
    placed = ((each, data_planes.of_endpoint(catalog, each)) for each in catalog.endpoints)
    return [(endpoint, plane) for endpoint, plane in placed if plane is not None]


def _gateway(catalog: Catalog, endpoint: Endpoint, plane: str) -> Declared:
    key = keys.gateway(endpoint.name)

    @declared(
        dg.AssetSpec(
            key,
            # It reads API keys from the tenants' database, whose schema comes with the organisations.
            deps=[keys.data_plane(plane), keys.ORGANIZATIONS],
            description=endpoint.description or f"The gateway of {endpoint.host}.",
            code_version=digests.of_gateway(catalog, endpoint),
            kinds={"gateway", "kubernetes"},
            tags={DATA_PLANE_TAG: plane},
        ),
        about=[endpoint],
        checks=[
            dg.AssetCheckSpec(name, asset=key, description=promise) for name, promise in EDGE_CHECKS.items()
        ],
    )
    def gateway(
        context: dg.AssetExecutionContext, cluster_parts: ClusterPartsResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        with failures.explained():
            serving = cluster_parts.serve(catalog, endpoint, progress=context.log.info)
        digest = digests.of_gateway(catalog, endpoint)
        yield dg.MaterializeResult(
            metadata=metadata.of_mirror(digest, metadata.of_serving(serving)),
            check_results=metadata.of_edge(serving.edge, key),
        )

    return gateway
