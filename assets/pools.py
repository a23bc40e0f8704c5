"""Pools: what must not happen too often at once. Their limits are in dagster.yaml (1 unless set).

Belongs here: pool names. Does not: limits.
"""

from __future__ import annotations

HUB = "hub"
REGISTRY = "registry"
WAREHOUSE = "warehouse"
ROUTES = "routes"
GARBAGE = "garbage"


def data_plane(name: str) -> str:
    """The pool that guards rollouts on one data plane."""
    return f"data_plane_{name.replace('-', '_')}"
