"""Which commit and image each part of a deployment is at: pinned by the catalog, or as last materialized.

Belongs here: reading commits and digests from Dagster's record of the weights and image assets.
Does not: asking the hub (slipway.artifacts) or a registry (slipway.artifacts.images).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import dagster as dg

from assets import keys
from slipway.catalog import Adapter, Catalog, Deployment, Model, ResolvedDeployment, data_planes
from slipway.catalog.fields import is_pinned, split_revision
from slipway.catalog.resolved import UnresolvedRevisionError, resolve


def hosted(catalog: Catalog, deployment: Deployment) -> list[str]:
    """Names of the weights assets that a deployment reads."""
    model = catalog.model(deployment.model)
    return [*([model.name] if model.host_locally else []), *(each.adapter for each in deployment.adapters)]


def resolved(instance: dg.DagsterInstance, catalog: Catalog, deployment: Deployment) -> ResolvedDeployment:
    """The deployment with everything pinned; raises UnresolvedRevisionError before the first pull."""
    moving = [name for name in hosted(catalog, deployment) if not is_pinned(catalog.source(name))]
    last_pulled = {name: recorded(instance, keys.weights(name), "commit") for name in moving}
    commits = {name: commit for name, commit in last_pulled.items() if commit}
    return resolve(catalog, deployment, commits, _images(instance, deployment))


def _images(instance: dg.DagsterInstance, deployment: Deployment) -> dict[tuple[str, str], str]:
    """The engine's image as last mirrored; on Ray without Kubernetes engines run in the environment."""
    if not data_planes.is_on_kubernetes(deployment):
        return {}
    accelerator = deployment.accelerator
    mirrored = recorded(instance, keys.image(deployment.engine), f"reference_{accelerator}")
    return {} if mirrored is None else {(deployment.engine, accelerator): mirrored}


def current(instance: dg.DagsterInstance, artifact: Model | Adapter) -> str | None:
    """The commit that is to be in the store: pinned, or the one that the moving ref was last pulled at."""
    if is_pinned(artifact.source):
        return split_revision(artifact.source)[1]
    return recorded(instance, keys.weights(artifact.name), "commit")


def all_resolved(instance: dg.DagsterInstance, catalog: Catalog) -> dict[str, ResolvedDeployment]:
    """Each deployment by its name as the catalog wants it, for those whose weights have a commit."""
    wanted: dict[str, ResolvedDeployment] = {}
    for deployment in catalog.deployments:
        with suppress(UnresolvedRevisionError):
            wanted[deployment.name] = resolved(instance, catalog, deployment)
    return wanted


def desired_digests(instance: dg.DagsterInstance, catalog: Catalog) -> dict[str, str]:
    """Spec digest of each deployment as the catalog wants it, for those whose weights have a commit."""
    return {name: wanted.spec_digest for name, wanted in all_resolved(instance, catalog).items()}


def missing_weights(
    instance: dg.DagsterInstance,
    catalog: Catalog,
    deployment: Deployment,
    is_published: Callable[[str, str], bool],
) -> frozenset[str]:
    """Of a deployment's weights, those not as the catalog says them, or not in the store any more.

    What left the catalog for a while was collected in time, whatever Dagster recorded.
    """

    def is_there(name: str) -> bool:
        key = keys.weights(name)
        commit = recorded(instance, key, "commit")
        if commit is None or recorded(instance, key, "source") != catalog.source(name):
            return False
        return is_published(name, commit)

    return frozenset(name for name in hosted(catalog, deployment) if not is_there(name))


def recorded(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> str | None:
    """A text in the metadata of an asset's last materialization."""
    event = instance.get_latest_materialization_event(key)
    if event is None or event.asset_materialization is None:
        return None
    entry = event.asset_materialization.metadata.get(name)
    return None if entry is None else str(entry.value)
