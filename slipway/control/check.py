"""The whole offline check: the catalog's own rules, what runtimes refuse, and what this version cannot do.

Belongs here: joining them. Does not: rules of either (slipway.catalog.rules, slipway.runtimes.rules).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slipway.catalog.catalog import Catalog
from slipway.catalog.files.loader import LoadedCatalog, load
from slipway.catalog.problems import Finding
from slipway.control.fit.known_formats import weights_load
from slipway.control.fit.models import models_fit
from slipway.runtimes import rules


def check_catalog(directory: Path) -> LoadedCatalog:
    """Load a directory and check it with every rule; raises CatalogError with all problems."""
    return load(directory, rules=[*rules.RULES, models_can, models_fit, weights_load])


def models_can(catalog: Catalog) -> Iterator[Finding]:
    """Weights come from local S3 on every runtime."""
    for model in catalog.models:
        if not model.host_locally:
            message = "engines of this version read local S3 alone. Set it to true"
            yield Finding("Model", model.name, ("host_locally",), message)
