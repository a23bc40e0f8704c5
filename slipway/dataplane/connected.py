"""The data planes that an environment connects.

Belongs here: which variables make which plane. Does not: what a plane does, choosing one (planes.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from slipway.dataplane.planes import RAY, Key, Planes
from slipway.dataplane.protocol import DataPlane
from slipway.environment import Environment, MissingSettingError

_KUBECONFIG = "SLIPWAY_KUBECONFIG"


def connected(environment: Environment, say: Callable[[str], None] | None = None) -> Planes:
    """Every plane that the environment names: Ray by its dashboard, Kubernetes by kubeconfigs.

    Raises MissingSettingError when it names none.
    """
    makers: dict[Key, Callable[[], DataPlane]] = {}
    if environment.get("SLIPWAY_RAY_DASHBOARD_URL"):
        makers[Key(RAY)] = partial(_ray, environment)
    for name in kubernetes_names(environment):
        makers[Key("kubernetes", name)] = partial(_kubernetes, environment, name, say)
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


def _ray(environment: Environment) -> DataPlane:
    from slipway.dataplane.ray_serve import RayServe
    from slipway.dataplane.serve_api import ServeApi

    dashboard, serve = environment.ray_dashboard_url, environment.ray_serve_url
    return RayServe(ServeApi(dashboard, serve, environment.ray_token))


def _kubernetes(environment: Environment, name: str, say: Callable[[str], None] | None) -> DataPlane:
    from slipway.dataplane.kubernetes.settings import open_plane

    return open_plane(environment, name, say=say)
