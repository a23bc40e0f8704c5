"""Weights on this node: verified copies of what is published, for an engine in this process or beside it.

Belongs here: the node's cache as its environment says (SLIPWAY_S3_*, SLIPWAY_NODE_CACHE), and the process of
an init container, `python -m slipway.engines.fetch <prefix>...`.
Does not: the copying (slipway.artifacts.node.cache).
"""

from __future__ import annotations

import sys
from pathlib import Path

from slipway.artifacts.errors import ArtifactError
from slipway.environment import Environment, MissingSettingError
from slipway.objectstore import ObjectStore, ObjectStoreError

_DEFAULT_CACHE_BYTES = 200 * 2**30


def fetched(prefix: str) -> Path:
    """Directory on this node with the verified files of `weights/<name>/<commit>/`.

    Raises ArtifactError, ObjectStoreError or MissingSettingError.
    """
    from slipway.artifacts.node.cache import NodeCache

    environment = Environment.load()
    bound_bytes = int(environment.get("SLIPWAY_NODE_CACHE_BYTES") or _DEFAULT_CACHE_BYTES)
    cache = NodeCache(ObjectStore(environment.s3), environment.node_cache_dir, bound_bytes)
    return cache.fetch(prefix)


def main(prefixes: list[str]) -> int:
    """Copy each prefix and print where it is; 1 with one line when one cannot be had."""
    for prefix in prefixes:
        try:
            sys.stdout.write(f"{prefix} is at {fetched(prefix)}\n")
        except (ArtifactError, ObjectStoreError, MissingSettingError) as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
