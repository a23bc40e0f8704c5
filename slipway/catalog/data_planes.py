"""Which Kubernetes data planes a catalog uses, and what of it is on each.

Belongs here: reading that off the catalog; a deployment whose runtime needs another kind of
plane is on none of these.
Does not: connecting (slipway.dataplane), rules (slipway.catalog.rules).
"""

from __future__ import annotations

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Endpoint
from slipway.catalog.runtimes import KUBERNETES, RUNTIMES


def is_on_kubernetes(deployment: Deployment) -> bool:
    """Whether the deployment's runtime makes objects in a cluster with an API server."""
    return RUNTIMES[deployment.runtime].plane == KUBERNETES


def kubernetes(catalog: Catalog) -> tuple[str, ...]:
    """Names of all of them, in order: those of deployments, and those that only endpoints name."""
    named = {each.data_plane for each in catalog.endpoints if each.data_plane is not None}
    return tuple(sorted(_of_deployments(catalog) | named))


def deployments(catalog: Catalog, name: str) -> tuple[Deployment, ...]:
    """The deployments on one."""
    return tuple(each for each in catalog.deployments if is_on_kubernetes(each) and each.data_plane == name)


def of_endpoint(catalog: Catalog, endpoint: Endpoint) -> str | None:
    """The one that an endpoint's gateway runs on; None where there is none, or several and none is named."""
    if endpoint.data_plane is not None:
        return endpoint.data_plane
    planes = _of_deployments(catalog)
    return next(iter(planes)) if len(planes) == 1 else None


def endpoints(catalog: Catalog, name: str) -> tuple[Endpoint, ...]:
    """The endpoints whose gateways run on one."""
    return tuple(each for each in catalog.endpoints if of_endpoint(catalog, each) == name)


def _of_deployments(catalog: Catalog) -> set[str]:
    return {each.data_plane for each in catalog.deployments if is_on_kubernetes(each)}
