"""Rules of references: every name that a document gives is a document's. One rule for each field.

Belongs here: whether what is named is there. Does not: whether it fits (documents.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.documents import Document
from slipway.catalog.problems import FieldPath, Finding


def references_to_models(catalog: Catalog) -> Iterator[Finding]:
    """A deployment's model."""
    models = _names(catalog.models)
    for deployment in catalog.deployments:
        yield from _missing("Deployment", deployment.name, ("model",), deployment.model, "Model", models)


def references_of_adapters(catalog: Catalog) -> Iterator[Finding]:
    """An adapter's base."""
    models = _names(catalog.models)
    for adapter in catalog.adapters:
        yield from _missing("Adapter", adapter.name, ("base",), adapter.base, "Model", models)


def references_to_engines(catalog: Catalog) -> Iterator[Finding]:
    """A deployment's engine."""
    engines = _names(catalog.engines)
    for deployment in catalog.deployments:
        yield from _missing("Deployment", deployment.name, ("engine",), deployment.engine, "Engine", engines)


def references_to_price_books(catalog: Catalog) -> Iterator[Finding]:
    """A deployment's price."""
    books = _names(catalog.price_books)
    for deployment in catalog.deployments:
        price = deployment.price
        if price is not None:
            yield from _missing("Deployment", deployment.name, ("price",), price, "PriceBook", books)


def references_to_adapters(catalog: Catalog) -> Iterator[Finding]:
    """A deployment's adapters."""
    adapters = _names(catalog.adapters)
    for deployment in catalog.deployments:
        for n, served in enumerate(deployment.adapters):
            where = ("adapters", n)
            yield from _missing("Deployment", deployment.name, where, served.adapter, "Adapter", adapters)


def references_to_organizations(catalog: Catalog) -> Iterator[Finding]:
    """Those with whom a deployment is shared."""
    orgs = _names(catalog.organizations)
    for deployment in catalog.deployments:
        for n, org in enumerate(deployment.sharing if isinstance(deployment.sharing, tuple) else ()):
            yield from _missing("Deployment", deployment.name, ("sharing", n), org, "Organization", orgs)


def references_of_endpoints(catalog: Catalog) -> Iterator[Finding]:
    """The same for the documents around deployments."""
    known = _names(catalog.deployments)
    for endpoint in catalog.endpoints:
        listed = endpoint.deployments if endpoint.deployments != "all" else ()
        for n, name in enumerate(listed):
            yield from _missing("Endpoint", endpoint.name, ("deployments", n), name, "Deployment", known)


def references_of_prices(catalog: Catalog) -> Iterator[Finding]:
    """Whom a price is for."""
    orgs = _names(catalog.organizations)
    for book in catalog.price_books:
        for n, price in enumerate(book.prices):
            if price.org is not None:
                where = ("prices", n, "org")
                yield from _missing("PriceBook", book.name, where, price.org, "Organization", orgs)


RULES = (
    references_to_models,
    references_of_adapters,
    references_to_engines,
    references_to_price_books,
    references_to_adapters,
    references_to_organizations,
    references_of_endpoints,
    references_of_prices,
)


def _names(documents: Iterable[Document]) -> set[str]:
    return {document.name for document in documents}


def _missing(
    kind: str, owner: str, path: FieldPath, name: str, wanted_kind: str, known: set[str]
) -> Iterator[Finding]:
    if name not in known:
        choices = ", ".join(sorted(known)) or "none yet"
        message = f"no {wanted_kind} of that name. Add one, or use one of: {choices}"
        yield Finding(kind, owner, path, message, missing=(wanted_kind, name))
