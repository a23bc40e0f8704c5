"""Asset keys, in one place, so that a name in the UI means one thing.

Belongs here: keys. Does not: assets.
"""

from __future__ import annotations

import dagster as dg

CATALOG = dg.AssetKey(["catalog"])
ROUTES = dg.AssetKey(["gateway", "routes"])
ORGANIZATIONS = dg.AssetKey(["tenants", "organizations"])
PRICES = dg.AssetKey(["billing", "prices"])
INVOICES = dg.AssetKey(["billing", "invoice"])
REQUESTS = dg.AssetKey(["usage", "requests"])
LATENCY = dg.AssetKey(["metering", "latency_hourly"])
USAGE = dg.AssetKey(["metering", "usage_hourly"])
COST = dg.AssetKey(["metering", "cost_hourly"])
REPLICAS = dg.AssetKey(["metering", "replicas_hourly"])
USAGE_COMPACTION = dg.AssetKey(["maintenance", "usage_compaction"])
ECONOMICS = dg.AssetKey(["metering", "economics_hourly"])
WEIGHTS_GC = dg.AssetKey(["maintenance", "weights_gc"])


INTAKE = dg.AssetKey(["usage", "intake"])


def shard(number: int) -> dg.AssetKey:
    """The rows of one shard of the warehouse, where it has shards."""
    return dg.AssetKey(["metering", f"shard_{number}"])


def weights(artifact: str) -> dg.AssetKey:
    """Weights of a model or an adapter."""
    return dg.AssetKey(["weights", artifact])


def image(engine: str) -> dg.AssetKey:
    """Images of an engine, for all its accelerators."""
    return dg.AssetKey(["image", engine])


def rollout(deployment: str) -> dg.AssetKey:
    """A deployment brought to the catalog's spec on its data plane."""
    return dg.AssetKey(["rollout", deployment])


def data_plane(name: str) -> dg.AssetKey:
    """What a Kubernetes data plane holds around its deployments."""
    return dg.AssetKey(["data_plane", name])


def gateway(endpoint: str) -> dg.AssetKey:
    """The tenant gateway of an endpoint, with its public side."""
    return dg.AssetKey(["gateway", endpoint])


def report(kind: str) -> dg.AssetKey:
    """A page for people: latency, usage or economics."""
    return dg.AssetKey(["report", kind])


def endpoint(deployment: str) -> dg.AssetKey:
    """A deployment validated as a client would."""
    return dg.AssetKey(["endpoint", deployment])
