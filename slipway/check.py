"""The whole offline check: the catalog's own rules, and what each runtime refuses.

Belongs here: joining the two. Does not: rules of either (slipway.catalog.checks, slipway.runtimes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slipway.catalog.catalog import Catalog
from slipway.catalog.loader import LoadedCatalog, load
from slipway.catalog.problems import Finding
from slipway.runtimes import registry

# Runtimes that this version deploys to: those whose rollouts were seen to work from end to end, `vllm` on a
# real cluster (tests/cluster/rollouts). It renders for all of slipway.runtimes.registry.
RUNTIMES = ("ray", "vllm")


def check_catalog(directory: Path) -> LoadedCatalog:
    """Load a directory and check it with every rule; raises CatalogError with all problems."""
    return load(directory, rules=[runtimes_can, models_can])


def runtimes_can(catalog: Catalog) -> Iterator[Finding]:
    """Every field is honoured by the deployment's runtime, or refused here with the reason."""
    engines = {engine.name: engine for engine in catalog.engines}
    for deployment in catalog.deployments:
        if deployment.runtime not in RUNTIMES:
            message = f"this version does not deploy to it yet. Use one of: {', '.join(sorted(RUNTIMES))}"
            yield Finding("Deployment", deployment.name, ("runtime",), message)
            continue
        for each in registry.refused(deployment, engines.get(deployment.engine), RUNTIMES):
            yield Finding("Deployment", deployment.name, tuple(each.field.split(".")), str(each))


def models_can(catalog: Catalog) -> Iterator[Finding]:
    """What a model asks for, the runtimes of this version give."""
    for model in catalog.models:
        if not model.host_locally:
            message = "engines of this version read local S3 alone. Set it to true"
            yield Finding("Model", model.name, ("host_locally",), message)
        if model.task != "text-generation":
            message = "engines of this version generate text alone. Remove the model, or wait for its runtime"
            yield Finding("Model", model.name, ("task",), message)
