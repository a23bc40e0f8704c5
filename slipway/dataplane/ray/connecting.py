"""A Ray cluster without Kubernetes from the environment.

Belongs here: the kind of this plane, and which variables make it. Does not: what it does (ray_serve.py).
"""

from __future__ import annotations

from slipway.dataplane.protocol import DataPlane
from slipway.environment import Environment

# As the registry of runtimes names it (slipway.catalog.runtimes). There is one, without a name.
KIND = "ray"


def is_named(environment: Environment) -> bool:
    """Whether the environment names one."""
    return bool(environment.get("SLIPWAY_RAY_DASHBOARD_URL"))


def open_plane(environment: Environment, node_cache_bytes: int | None) -> DataPlane:
    """The plane; `node_cache_bytes` bounds the weights cache of its nodes. Opens no connection yet."""
    from slipway.dataplane.ray.ray_serve import RayServe
    from slipway.dataplane.ray.serve_api import ServeApi

    dashboard, serve = environment.ray_dashboard_url, environment.ray_serve_url
    return RayServe(ServeApi(dashboard, serve, environment.ray_token), node_cache_bytes)
