"""Rules of model names: what clients ask for means one thing at each endpoint, what an engine serves, too.

Belongs here: names that would meet, judged offline. Does not: how one is written (slipway.catalog.fields),
which gateway answers to which (slipway.records.routes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from slipway.catalog.catalog import Catalog
from slipway.catalog.deployment import Deployment
from slipway.catalog.problems import FieldPath, Finding


def requested_names(catalog: Catalog) -> Iterator[Finding]:
    """A name in requests leads to one deployment at each endpoint, and at none that no endpoint serves."""
    told: set[tuple[str, FieldPath]] = set()
    for endpoint, deployments in _audiences(catalog):
        owners: dict[str, list[str]] = defaultdict(list)
        for deployment in deployments:
            for name, _ in deployment.requested_names:
                owners[name].append(deployment.name)
        for deployment in deployments:
            for path, name, remedy in _given(deployment):
                if len(owners[name]) > 1 and (deployment.name, path) not in told:
                    told.add((deployment.name, path))
                    holders = " and ".join(sorted(set(owners[name])))
                    where = f" at endpoint {endpoint}" if endpoint is not None else ""
                    twice = "" if len(set(owners[name])) > 1 else " twice"
                    message = f"model name {name} is served by {holders}{twice}{where}. {remedy}"
                    yield Finding("Deployment", deployment.name, path, message)


def engine_names(catalog: Catalog) -> Iterator[Finding]:
    """One engine knows its model and each adapter by a name of its own."""
    for deployment in catalog.deployments:
        asked = [name for name, _ in deployment.requested_names]
        taken = {deployment.name}
        for n, served in enumerate(deployment.adapters):
            if served.model_name in taken and asked.count(served.model_name) < 2:  # else it was told
                message = (
                    f"the engine would call it {served.model_name}, as it calls another. "
                    "Give the adapter a served_name of its own"
                )
                yield Finding("Deployment", deployment.name, ("adapters", n), message)
            taken.add(served.model_name)


def _audiences(catalog: Catalog) -> Iterator[tuple[str | None, list[Deployment]]]:
    """Who is behind each endpoint; and, under None, who is behind none."""
    endpoints = {each.name: catalog.endpoints_of(each.name) for each in catalog.deployments}
    yield None, [each for each in catalog.deployments if not endpoints[each.name]]
    for endpoint in catalog.endpoints:
        yield endpoint.name, [each for each in catalog.deployments if endpoint.name in endpoints[each.name]]


def _given(deployment: Deployment) -> Iterator[tuple[FieldPath, str, str]]:
    """The field, the name, and what to do, of each name but the deployment's own: that one is unique."""
    for n, name in enumerate(deployment.public_names):
        yield ("public_names", n), name, "Remove it from one of them"
    for n, served in enumerate(deployment.adapters):
        for k, name in enumerate(served.public_names):
            yield ("adapters", n, "public_names", k), name, "Remove it from one of them"
        if not served.public_names:
            yield ("adapters", n), served.model_name, "Give the adapter a served_name of its own"
