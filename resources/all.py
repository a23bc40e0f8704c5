"""The resources of the code location, by the names that assets and sensors ask for.

Belongs here: one mapping. Does not: building clients (the modules beside it).
"""

from __future__ import annotations

from typing import Any

from resources.alerting import AlertingResource
from resources.artifacts import WeightsResource
from resources.billing import BillingResource
from resources.cluster_parts import ClusterPartsResource
from resources.dataplane import DataPlaneResource
from resources.environment import EnvironmentResource, StoreResource
from resources.gateway import GatewayResource, TenantsResource
from resources.images import ImagesResource
from resources.warehouse import WarehouseResource


def resources(variables: dict[str, str] | None = None) -> dict[str, Any]:
    """All resources; `variables` go before the process environment (tests bring their own servers)."""
    environment = EnvironmentResource(overrides=variables or {})
    store = StoreResource(environment=environment)
    return {
        "environment": environment,
        "alerting": AlertingResource(environment=environment),
        "billing": BillingResource(environment=environment),
        "store": store,
        "weights_store": WeightsResource(environment=environment, store=store),
        "images": ImagesResource(environment=environment, store=store),
        "data_plane": DataPlaneResource(environment=environment),
        "cluster_parts": ClusterPartsResource(environment=environment),
        "gateway": GatewayResource(environment=environment),
        "tenants": TenantsResource(environment=environment),
        "warehouse": WarehouseResource(environment=environment),
    }
