"""Digests of parts of a catalog, to see whether what mirrors a part is up to date.

Belongs here: one function per mirrored part. Does not: a revision's digest (resolved.py).
"""

from __future__ import annotations

from slipway.catalog import data_planes
from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Endpoint
from slipway.catalog.resolved import digest_of


def of_catalog(catalog: Catalog) -> str:
    """Digest of everything in the catalog."""
    return digest_of(catalog.model_dump(mode="json", by_alias=True))


def of_data_plane(catalog: Catalog, name: str) -> str:
    """Digest of what a Kubernetes data plane holds around its deployments: isolation, quotas, shared cards.

    Its gateways count by name: those of endpoints that are no more are taken away.
    """
    around = [
        (deployment.runtime, deployment.isolation.model_dump(mode="json"), _sharing(deployment))
        for deployment in data_planes.deployments(catalog, name)
    ]
    gateways = sorted(each.name for each in data_planes.endpoints(catalog, name))
    return digest_of([sorted(around, key=str), gateways])


def of_gateway(catalog: Catalog, endpoint: Endpoint) -> str:
    """Digest of what an endpoint's gateway and edge are made from: itself, and the public paths behind it."""
    spec = endpoint.model_dump(mode="json", exclude={"description", "owner"})
    served = endpoint.deployments
    paths = sorted(
        (deployment.name, deployment.path)
        for deployment in catalog.deployments
        if deployment.path is not None and (served == "all" or deployment.name in served)
    )
    return digest_of([spec, data_planes.of_endpoint(catalog, endpoint), paths])


def _sharing(deployment: Deployment) -> tuple[str, str | None] | None:
    gpu = deployment.resources.gpu
    return None if gpu is None else (gpu.sharing, gpu.mig_profile)


def of_organizations(catalog: Catalog) -> str:
    """Digest of what the tenants' database mirrors."""
    return digest_of(sorted(org.name for org in catalog.organizations))


def of_prices(catalog: Catalog) -> str:
    """Digest of what the warehouse's price table mirrors: the books, and who uses which."""
    books = [book.model_dump(mode="json", exclude={"description", "owner"}) for book in catalog.price_books]
    users = [(deployment.name, deployment.price) for deployment in catalog.deployments]
    return digest_of([sorted(books, key=lambda book: str(book["name"])), sorted(users, key=str)])
