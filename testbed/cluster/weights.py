"""Weights for pods: a SeaweedFS on the bridge, reached under one address by this machine and by pods.

Belongs here: its process, publishing the demo's model. Does not: how Slipway pulls weights.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.objectstore import ObjectStore
from slipway.stack.standin_hub import demo
from testbed import stores
from testbed.cluster.layout import BRIDGE_IP

COMMIT = "1" * 40
_BUCKET = "slipway"


@contextmanager
def store(directory: Path) -> Iterator[ObjectStore]:
    """A running SeaweedFS with an empty bucket. Raises TimeoutError when it does not start."""
    with stores.seaweed(directory, BRIDGE_IP) as location:
        yield stores.with_bucket(location, _BUCKET)


def publish_demo_model(target: ObjectStore) -> Manifest:
    """Put the demo's model there as `slipway pull` would; it comes with the environment, from no network."""
    path = demo.demo_model_file()
    content = path.read_bytes()
    file = ManifestFile(path=path.name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    manifest = Manifest(
        name="smollm2", source="file:///test", commit=COMMIT, created_at=datetime.now(UTC), files=(file,)
    )
    target.put(manifest.prefix + path.name, content)
    manifest.publish(target)
    return manifest
