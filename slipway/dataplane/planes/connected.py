"""The data planes that an environment connects.

Belongs here: which variables make which plane. Does not: what a plane does, choosing one (planes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from slipway.catalog.resolved import ResolvedDeployment
from slipway.dataplane.planes.planes import RAY, Key, Planes
from slipway.dataplane.protocol import DataPlane
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

    `revisions` tell what shares a RayService with a deployment that is rendered; `node_cache_bytes` bounds
    the weights cache of Ray's nodes. Raises MissingSettingError when the environment names no plane.
    """
    makers: dict[Key, Callable[[], DataPlane]] = {}
    if environment.get("SLIPWAY_RAY_DASHBOARD_URL"):
        makers[Key(RAY)] = partial(_ray, environment, node_cache_bytes)
    for name in kubernetes_names(environment):
        makers[Key("kubernetes", name)] = partial(_kubernetes, environment, name, revisions, say)
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


def _ray(environment: Environment, node_cache_bytes: int | None) -> DataPlane:
    from slipway.dataplane.ray.ray_serve import RayServe
    from slipway.dataplane.ray.serve_api import ServeApi

    dashboard, serve = environment.ray_dashboard_url, environment.ray_serve_url
    return RayServe(ServeApi(dashboard, serve, environment.ray_token), node_cache_bytes)


def _kubernetes(
    environment: Environment,
    name: str,
    revisions: RevisionStore | None,
    say: Callable[[str], None] | None,
) -> DataPlane:
    from slipway.dataplane.kubernetes.settings import open_plane

    def beside(resolved: ResolvedDeployment) -> list[ResolvedDeployment]:
        return sharing_ray_service(plane, revisions, resolved) if revisions is not None else []

    plane = open_plane(environment, name, say=say, beside=beside)
    return plane


def sharing_ray_service(
    plane: DataPlane, revisions: RevisionStore, resolved: ResolvedDeployment
) -> list[ResolvedDeployment]:
    """What stays beside this revision in its namespace's RayService: all else that runs there, as recorded.

    What was never recorded belongs to a rollout that was cut off; its next run brings it back.
    """
    found: list[ResolvedDeployment] = []
    for live in plane.status():
        record = revisions.get(live.deployment, live.spec_digest)
        if record is None or record.rendered.get("runtime") != "kuberay":
            continue
        other = ResolvedDeployment.model_validate(record.spec)
        same_home = other.deployment.isolation.namespace == resolved.deployment.isolation.namespace
        if same_home and record.application != object_name(resolved):
            found.append(other)
    return found
