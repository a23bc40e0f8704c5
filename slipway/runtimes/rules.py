"""Rules of a catalog that need runtimes' adapters: names, engines, fields and tasks that a runtime takes.

Belongs here: what each adapter says, as findings of a whole catalog. Does not: what an adapter says (its
room), rules that hold for every runtime (slipway.catalog.rules).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from slipway.catalog import data_planes
from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.documents import Engine
from slipway.catalog.problems import Finding
from slipway.catalog.rules.documents import Rule
from slipway.runtimes import argument_rules, registry, tasks


def names_fit(catalog: Catalog) -> Iterator[Finding]:
    """Runtimes add suffixes to names; Kubernetes cuts at 63, and a Service's begins with a letter."""
    for deployment in catalog.deployments:
        longest = registry.adapter(deployment.runtime).longest_name(deployment)
        if len(deployment.name) > longest:
            message = (
                f"{len(deployment.name)} characters are too long for runtime {deployment.runtime}. "
                f"Use at most {longest}"
            )
            yield Finding("Deployment", deployment.name, ("name",), message)
        if data_planes.is_on_kubernetes(deployment) and deployment.name[0].isdigit():
            message = (
                "a Service on Kubernetes has this name, and cannot begin with a digit. Put a letter first"
            )
            yield Finding("Deployment", deployment.name, ("name",), message)


def engines_are_hosted(catalog: Catalog) -> Iterator[Finding]:
    """The runtime can host the engine's server, and there is an image for the accelerator asked for."""
    engines = {engine.name: engine for engine in catalog.engines}
    for deployment in catalog.deployments:
        engine = engines.get(deployment.engine)
        if engine is None:
            continue
        adapter = registry.adapter(deployment.runtime)
        if engine.server not in adapter.servers:
            message = (
                f"runtime {deployment.runtime} does not host server {engine.server}. "
                f"Choose an engine with one of: {', '.join(sorted(adapter.servers))}"
            )
            yield Finding("Deployment", deployment.name, ("engine",), message)
        accelerator = deployment.accelerator
        if accelerator not in engine.images and engine.server not in adapter.without_image:
            message = f"engine {engine.name} has no image for {accelerator}. Add images.{accelerator} to it"
            yield Finding("Deployment", deployment.name, ("engine",), message)


def fields_are_honoured(catalog: Catalog) -> Iterator[Finding]:
    """Every field is honoured by the deployment's runtime, or refused here with the reason."""
    engines = {engine.name: engine for engine in catalog.engines}
    for deployment in catalog.deployments:
        engine = engines.get(deployment.engine)
        servers = registry.adapter(deployment.runtime).servers
        for refusal in refused(deployment, engine):
            if refusal.field == "engine" and engine is not None and engine.server not in servers:
                continue  # said by engines_are_hosted, with the servers that it hosts
            yield Finding("Deployment", deployment.name, tuple(refusal.field.split(".")), str(refusal))


def tasks_are_done(catalog: Catalog) -> Iterator[Finding]:
    """A model's task is one that the deployment's engine does on its runtime."""
    engines = {engine.name: engine for engine in catalog.engines}
    models = {model.name: model for model in catalog.models}
    for deployment in catalog.deployments:
        engine, model = engines.get(deployment.engine), models.get(deployment.model)
        if engine is None or model is None:
            continue
        reason = tasks.refusal(deployment.runtime, engine.server, model.task)
        if reason is not None:
            yield Finding("Deployment", deployment.name, ("model",), reason)


RULES: tuple[Rule, ...] = (
    names_fit,
    engines_are_hosted,
    fields_are_honoured,
    tasks_are_done,
    *argument_rules.RULES,
)


@dataclass(frozen=True)
class Refusal:
    """A field that a runtime cannot honour as it is written, why, and the runtimes that can."""

    field: str
    reason: str
    runtimes: tuple[str, ...]

    def __str__(self) -> str:
        can = f", or a runtime that can: {', '.join(self.runtimes)}" if self.runtimes else ""
        return f"{self.reason.rstrip('.')}{can}"


def refused(deployment: Deployment, engine: Engine | None) -> Iterator[Refusal]:
    """What the deployment's runtime refuses, and the runtimes that could be used instead."""
    adapters = registry.adapters()
    own = adapters.pop(deployment.runtime).refusals(deployment, engine)
    if not own:
        return
    # Another runtime's engine would be another, too.
    others = {
        name: {refused_field for refused_field, _ in other.refusals(deployment, None)}
        for name, other in adapters.items()
    }
    for field, reason in own:
        can = tuple(name for name, fields in others.items() if field not in fields)
        yield Refusal(field, reason, can if field != "engine" else ())
