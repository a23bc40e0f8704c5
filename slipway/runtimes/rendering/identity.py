"""Whose an object is: names, labels and annotations that every object of a deployment carries.

Belongs here: the one place that spells them, for rendering, waiting and pruning alike.
Does not: what the objects are.
"""

from __future__ import annotations

from slipway.catalog.resolved import ResolvedDeployment
from slipway.runtimes.rendering.cluster_settings import ClusterSettings

MANAGED_BY = "app.kubernetes.io/managed-by"
NAME = "app.kubernetes.io/name"
SLIPWAY = "slipway"

DEPLOYMENT = "slipway.dev/deployment"
REVISION = "slipway.dev/revision"
INSTANCE = "slipway.dev/instance"  # name of the revision's objects; operators set the well-known label
SPEC_DIGEST = "slipway.dev/spec-digest"
CATALOG = "slipway.dev/catalog"

# On namespaces: the default namespace of the Slipway that made them. Another one on the same cluster has
# another, and what it serves is not to be retired.
HOME = "slipway.dev/home"

SPEC_DIGEST_ENV = "SLIPWAY_SPEC_DIGEST"


def object_name(resolved: ResolvedDeployment) -> str:
    """Name of a revision's objects: one per revision for blue-green, a stable one in place."""
    if resolved.deployment.rollout.strategy == "blue-green":
        return resolved.revision_name
    return resolved.name


def namespace(resolved: ResolvedDeployment, cluster: ClusterSettings) -> str:
    """Namespace of a deployment's objects."""
    return resolved.deployment.isolation.namespace or cluster.namespace


def selector(resolved: ResolvedDeployment) -> dict[str, str]:
    """Labels that select a revision's pods. Immutable in a Deployment, so nothing here changes in place."""
    return {INSTANCE: object_name(resolved), DEPLOYMENT: resolved.name}


def pod_labels(resolved: ResolvedDeployment) -> dict[str, str]:
    """Labels of every pod of a revision, also of those that an operator makes and puts its own on."""
    return {REVISION: resolved.spec_digest[:8], **selector(resolved)}


def labels(resolved: ResolvedDeployment) -> dict[str, str]:
    """Ownership labels of objects; pruning goes by them."""
    server = resolved.engine.server.replace(".", "-")
    return {NAME: server, MANAGED_BY: SLIPWAY, **pod_labels(resolved)}


def object_annotations(resolved: ResolvedDeployment, cluster: ClusterSettings) -> dict[str, str]:
    """The whole digest, and where in the catalog the deployment is written."""
    place = cluster.catalog_places.get(resolved.name)
    return {**pod_annotations(resolved), **({CATALOG: place} if place else {})}


def pod_annotations(resolved: ResolvedDeployment) -> dict[str, str]:
    """Of pod templates: the digest alone, as anything that changes here restarts pods."""
    return {SPEC_DIGEST: resolved.spec_digest}


def metadata(
    resolved: ResolvedDeployment, cluster: ClusterSettings, name: str | None = None
) -> dict[str, object]:
    """`metadata` of an object of this revision."""
    return {
        "name": name or object_name(resolved),
        "namespace": namespace(resolved, cluster),
        "labels": labels(resolved),
        "annotations": object_annotations(resolved, cluster),
    }
