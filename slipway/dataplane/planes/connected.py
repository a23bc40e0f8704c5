"""The data planes that an environment connects.

Belongs here: which variables make which plane. Does not: what a plane does, choosing one (planes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from slipway.catalog.resolved import ResolvedDeployment
from slipway.catalog.runtimes import KUBERNETES
from slipway.dataplane.planes.planes import Key, Planes
from slipway.dataplane.protocol import DataPlane
from slipway.dataplane.ray import connecting as plain_ray
from slipway.environment import Environment, MissingSettingError
from slipway.records.revisions import RevisionStore
from slipway.runtimes.rendering.identity import object_name

_KUBECONFIG = "SLIPWAY_KUBECONFIG"


def connected(
    environment: Environment,
    *,
    revisions: RevisionStore | None = None,
    node_cache_bytes: int | None = None,
    say: Callable[[str], None] | None = None,
) -> Planes:
    """Every plane that the environment names: Ray by its dashboard, Kubernetes by kubeconfigs.

    `revisions` tell what shares a workload with a deployment that is rendered; `node_cache_bytes` bounds the
    weights cache of Ray's nodes. Raises MissingSettingError when the environment names no plane.
    """
    makers: dict[Key, Callable[[], DataPlane]] = {}
    if plain_ray.is_named(environment):
        makers[Key(plain_ray.KIND)] = partial(plain_ray.open_plane, environment, node_cache_bytes)
    for name in kubernetes_names(environment):
        makers[Key(KUBERNETES, name)] = partial(_kubernetes, environment, name, revisions, say)
    if not makers:
        raise MissingSettingError("SLIPWAY_RAY_DASHBOARD_URL")
    return Planes(makers)


def kubernetes_names(environment: Environment) -> Iterator[str]:
    """Names of the data planes that have a kubeconfig."""
    for variable in sorted(environment.variables):
        if variable == _KUBECONFIG and environment.get(variable):
            yield "default"
        elif variable.startswith(f"{_KUBECONFIG}_") and environment.get(variable):
            yield variable.removeprefix(f"{_KUBECONFIG}_").lower().replace("_", "-")


def _kubernetes(
    environment: Environment,
    name: str,
    revisions: RevisionStore | None,
    say: Callable[[str], None] | None,
) -> DataPlane:
    from slipway.dataplane.kubernetes.settings import open_plane

    def beside(resolved: ResolvedDeployment) -> list[ResolvedDeployment]:
        return sharing_workload(plane, revisions, resolved) if revisions is not None else []

    plane = open_plane(environment, name, say=say, beside=beside)
    return plane


def sharing_workload(
    plane: DataPlane, revisions: RevisionStore, resolved: ResolvedDeployment
) -> list[ResolvedDeployment]:
    """What stays beside this revision where its runtime has one workload per namespace: all else that runs.

    What was never recorded belongs to a rollout that was cut off; its next run brings it back.
    """
    deployment = resolved.deployment
    beside: list[ResolvedDeployment] = []
    for live in plane.status():
        record = revisions.get(live.deployment, live.spec_digest)
        if record is None or record.rendered.get("runtime") != deployment.runtime:
            continue
        other = ResolvedDeployment.model_validate(record.spec)
        same_home = other.deployment.isolation.namespace == deployment.isolation.namespace
        if same_home and record.application != object_name(resolved):
            beside.append(other)
    return beside
