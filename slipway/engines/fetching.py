"""Weights on this node: what an engine's process calls before it loads.

Belongs here: the node's cache as its environment says. Does not: the cache (slipway.artifacts.node.cache).
"""

from __future__ import annotations

from pathlib import Path

_DEFAULT_CACHE_BYTES = 200 * 2**30


def fetched(prefix: str) -> Path:
    """Directory on this node with the verified files of `weights/<name>/<commit>/`.

    Raises ArtifactError, ObjectStoreError or MissingSettingError.
    """
    from slipway.artifacts.node.cache import NodeCache
    from slipway.environment import Environment
    from slipway.objectstore import ObjectStore

    environment = Environment.load()
    bound_bytes = int(environment.get("SLIPWAY_NODE_CACHE_BYTES") or _DEFAULT_CACHE_BYTES)
    cache = NodeCache(ObjectStore(environment.s3), environment.node_cache_dir, bound_bytes)
    return cache.fetch(prefix)
