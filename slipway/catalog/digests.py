"""Digests of parts of a catalog, to see whether what mirrors a part is up to date.

Belongs here: one function per mirrored part. Does not: a revision's digest (resolved.py).
"""

from __future__ import annotations

from slipway.catalog.catalog import Catalog
from slipway.catalog.resolved import digest_of


def of_catalog(catalog: Catalog) -> str:
    """Digest of everything in the catalog."""
    return digest_of(catalog.model_dump(mode="json", by_alias=True))


def of_structure(catalog: Catalog) -> str:
    """Digest of which assets a catalog makes and how they depend on each other."""
    tasks = {model.name: model.task for model in catalog.models}  # an endpoint's checks follow from it
    hosted = sorted(model.name for model in catalog.models if model.host_locally)
    reads = [
        (each.name, each.model, tasks[each.model], sorted(served.adapter for served in each.adapters))
        for each in catalog.deployments
    ]
    adapters = sorted(adapter.name for adapter in catalog.adapters)
    pulls = sorted((each.name, each.engine) for each in catalog.deployments)
    mirrored = sorted(engine.name for engine in catalog.engines if engine.images)
    return digest_of([hosted, adapters, sorted(reads, key=str), pulls, mirrored])


def of_organizations(catalog: Catalog) -> str:
    """Digest of what the tenants' database mirrors."""
    return digest_of(sorted(org.name for org in catalog.organizations))


def of_prices(catalog: Catalog) -> str:
    """Digest of what the warehouse's price table mirrors: the books, and who uses which."""
    books = [book.model_dump(mode="json", exclude={"description", "owner"}) for book in catalog.price_books]
    users = [(deployment.name, deployment.price) for deployment in catalog.deployments]
    return digest_of([sorted(books, key=lambda book: str(book["name"])), sorted(users, key=str)])
