"""Gateway assets: the route table that only ever names validated revisions, and the tenants behind keys.

Belongs here: when routes are switched and the old revision retired. Does not: how (slipway).
"""

import dagster as dg

from assets import commits, failures, keys, metadata
from assets.declared import Declared, declared
from assets.endpoint_gateways import gateway_keys
from resources.cluster_parts import ClusterPartsResource
from resources.dataplane import DataPlaneResource
from resources.gateway import GatewayResource, TenantsResource
from slipway.catalog import Catalog, digests


def route_assets(catalog: Catalog) -> list[Declared]:
    """The route table."""
    return [_routes(catalog)]


def tenant_assets(catalog: Catalog) -> list[Declared]:
    """The organisations."""
    return [_organizations(catalog)]


def _routes(catalog: Catalog) -> Declared:
    @declared(
        dg.AssetSpec(
            keys.ROUTES,
            deps=[
                *(keys.endpoint(deployment.name) for deployment in catalog.deployments),
                *gateway_keys(catalog),  # it waits until every gateway has them
                keys.PRICES,  # what is served before its price was taken is free
            ],
            description="Model names, who may use them, and the validated revision behind each.",
            kinds={"gateway", "s3"},
        )
    )
    def routes(
        context: dg.AssetExecutionContext,
        gateway: GatewayResource,
        data_plane: DataPlaneResource,
        cluster_parts: ClusterPartsResource,
    ) -> dg.MaterializeResult[None]:
        with failures.explained():
            published = gateway.route(catalog, progress=context.log.info)
            desired = commits.desired_digests(context.instance, catalog)
            retired = data_plane.retire(catalog, published.table, desired, progress=context.log.info)
            retired += cluster_parts.retire(catalog, progress=context.log.info)
        return dg.MaterializeResult(metadata=metadata.of_routes(published, retired))

    return routes


def _organizations(catalog: Catalog) -> Declared:
    names = sorted(org.name for org in catalog.organizations)

    @declared(
        dg.AssetSpec(
            keys.ORGANIZATIONS,
            description="The catalog's organisations in the tenants' database.",
            code_version=digests.of_organizations(catalog),
            kinds={"sql"},
        )
    )
    def organizations(tenants: TenantsResource) -> dg.MaterializeResult[None]:
        with failures.explained():
            tenants.sync_orgs(names)
        counts = {"organizations": len(names)}
        return dg.MaterializeResult(metadata=metadata.of_mirror(digests.of_organizations(catalog), counts))

    return organizations
