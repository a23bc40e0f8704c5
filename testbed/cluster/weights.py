"""Weights for pods: a SeaweedFS on the bridge, reached under one address by this machine and by pods.

Belongs here: its process, publishing the demo's model. Does not: how Slipway pulls weights.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import demo
from testbed import stores, weights
from testbed.cluster.layout import BRIDGE_IP

COMMIT = weights.COMMIT
_BUCKET = "slipway"


@contextmanager
def store(directory: Path) -> Iterator[ObjectStore]:
    """A running SeaweedFS with an empty bucket. Raises TimeoutError when it does not start."""
    with stores.seaweed(directory, BRIDGE_IP) as location:
        yield stores.with_bucket(location, _BUCKET)


def publish_demo_model(target: ObjectStore) -> Manifest:
    """Put the demo's model there as `slipway pull` would; it comes with the environment, from no network."""
    return weights.publish_file(target, "smollm2", demo.demo_model_file())
