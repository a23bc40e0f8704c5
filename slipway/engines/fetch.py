"""`python -m slipway.engines.fetch <prefix>...`: verified copies of published weights, for engines beside it.

Belongs here: the process of an init container. Does not: the copying (slipway.artifacts.node.cache).
Where from and where to is its environment: SLIPWAY_S3_*, SLIPWAY_NODE_CACHE.
"""

from __future__ import annotations

import sys

from slipway.artifacts.errors import ArtifactError
from slipway.engines.fetching import fetched
from slipway.environment import MissingSettingError
from slipway.objectstore import ObjectStoreError


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
