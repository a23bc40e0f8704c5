"""The whole offline check: the catalog's own rules, and what each runtime refuses.

Belongs here: joining the two. Does not: rules of either (slipway.catalog.checks, slipway.runtimes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slipway import runtimes
from slipway.catalog.catalog import Catalog
from slipway.catalog.loader import LoadedCatalog, load
from slipway.catalog.problems import Finding


def check_catalog(directory: Path) -> LoadedCatalog:
    """Load a directory and check it with every rule; raises CatalogError with all problems."""
    return load(directory, rules=[runtimes_can])


def runtimes_can(catalog: Catalog) -> Iterator[Finding]:
    """Every field is honoured by the deployment's runtime, or refused here with the reason."""
    for deployment in catalog.deployments:
        runtime = runtimes.RUNTIMES.get(deployment.runtime)
        if runtime is None:
            known = ", ".join(sorted(runtimes.RUNTIMES))
            message = f"this version has no renderer for it. Use one of: {known}"
            yield Finding("Deployment", deployment.name, ("runtime",), message)
            continue
        for refusal in runtime.refusals(deployment):
            path = tuple(refusal.field.split("."))
            yield Finding("Deployment", deployment.name, path, refusal.reason)
