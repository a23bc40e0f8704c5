"""The whole offline check: the catalog's own rules, and what each runtime refuses.

Belongs here: joining the two. Does not: rules of either (slipway.catalog.rules.documents, slipway.runtimes).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from slipway.catalog.catalog import Catalog
from slipway.catalog.files.loader import LoadedCatalog, load
from slipway.catalog.problems import Finding
from slipway.catalog.rules.documents import HOSTS
from slipway.control.fit.models import models_fit
from slipway.gateway.api.operations import TASKS
from slipway.runtimes import registry, tasks


def check_catalog(directory: Path) -> LoadedCatalog:
    """Load a directory and check it with every rule; raises CatalogError with all problems."""
    return load(directory, rules=[runtimes_can, tasks_can, gateway_can, models_can, models_fit])


def runtimes_can(catalog: Catalog) -> Iterator[Finding]:
    """Every field is honoured by the deployment's runtime, or refused here with the reason."""
    engines = {engine.name: engine for engine in catalog.engines}
    for deployment in catalog.deployments:
        engine = engines.get(deployment.engine)
        for each in registry.refused(deployment, engine, registry.REFUSALS):
            if (
                each.field == "engine"
                and engine is not None
                and engine.server not in HOSTS[deployment.runtime]
            ):
                continue  # said by slipway.catalog.rules.documents, with the servers that it hosts
            yield Finding("Deployment", deployment.name, tuple(each.field.split(".")), str(each))


def tasks_can(catalog: Catalog) -> Iterator[Finding]:
    """A model's task is one that the deployment's engine does on its runtime."""
    engines = {engine.name: engine for engine in catalog.engines}
    models = {model.name: model for model in catalog.models}
    for deployment in catalog.deployments:
        engine, model = engines.get(deployment.engine), models.get(deployment.model)
        if engine is None or model is None:
            continue
        reason = tasks.refusal(deployment.runtime, engine.server, model.task, HOSTS)
        if reason is not None:
            yield Finding("Deployment", deployment.name, ("model",), reason)


def gateway_can(catalog: Catalog) -> Iterator[Finding]:
    """Tenants reach a deployment through the gateway alone, which does not pass on every task's requests."""
    models = {model.name: model for model in catalog.models}
    for deployment in catalog.deployments:
        model = models.get(deployment.model)
        if model is not None and model.task not in TASKS:
            message = (
                f"its task is {model.task}, and the gateway passes on {', '.join(sorted(TASKS))} alone. "
                f"It is rolled out and validated; `slipway describe {deployment.name}` tells where it answers"
            )
            yield Finding("Deployment", deployment.name, ("model",), message, severity="warning")


def models_can(catalog: Catalog) -> Iterator[Finding]:
    """Weights come from local S3 on every runtime."""
    for model in catalog.models:
        if not model.host_locally:
            message = "engines of this version read local S3 alone. Set it to true"
            yield Finding("Model", model.name, ("host_locally",), message)
