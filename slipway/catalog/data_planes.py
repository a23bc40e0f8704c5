"""Which Kubernetes data planes a catalog uses, and what of it is on each.

Belongs here: reading that off the catalog; deployments on plain Ray are on none of these.
Does not: connecting (slipway.dataplane), rules (checks.py).
"""

from __future__ import annotations

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Endpoint

_RAY = "ray"


def kubernetes(catalog: Catalog) -> tuple[str, ...]:
    """Names of all of them, in order: those of deployments, and those that only endpoints name."""
    named = {each.data_plane for each in catalog.endpoints if each.data_plane is not None}
    return tuple(sorted(_of_deployments(catalog) | named))


def deployments(catalog: Catalog, name: str) -> tuple[Deployment, ...]:
    """The deployments on one."""
    return tuple(each for each in catalog.deployments if each.runtime != _RAY and each.data_plane == name)


def of_endpoint(catalog: Catalog, endpoint: Endpoint) -> str | None:
    """The one that an endpoint's gateway runs on; None where there is none, or several and none is named."""
    if endpoint.data_plane is not None:
        return endpoint.data_plane
    found = _of_deployments(catalog)
    return next(iter(found)) if len(found) == 1 else None


def endpoints(catalog: Catalog, name: str) -> tuple[Endpoint, ...]:
    """The endpoints whose gateways run on one."""
    return tuple(each for each in catalog.endpoints if of_endpoint(catalog, each) == name)


def _of_deployments(catalog: Catalog) -> set[str]:
    return {each.data_plane for each in catalog.deployments if each.runtime != _RAY}
