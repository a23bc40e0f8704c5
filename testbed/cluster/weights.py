"""Weights for pods: a SeaweedFS on the bridge, reached under one address by this machine and by pods.

Belongs here: its process, publishing the demo's model. Does not: how Slipway pulls weights.
"""

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from slipway.artifacts.weights.manifest import Manifest, ManifestFile
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.stack import seaweedfs
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import demo
from testbed.cluster.layout import BRIDGE_IP
from testbed.cluster.processes import wait

COMMIT = "1" * 40
_BUCKET = "slipway"


@contextmanager
def store(directory: Path) -> Iterator[ObjectStore]:
    """A running SeaweedFS with an empty bucket. Raises ClusterError when it does not start."""
    for name in ("data", "log"):
        (directory / name).mkdir()
    ports = seaweedfs.SeaweedPorts(*free_ports(10))
    loopback = seaweedfs.command(directory / "data", directory / "log", ports)
    command = [part.replace("127.0.0.1", BRIDGE_IP) for part in loopback]
    with (directory / "out.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=seaweedfs.environment("pods-key", "pods-secret"),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    url = f"http://{BRIDGE_IP}:{ports.s3}"
    made = ObjectStore(S3Location(url, _BUCKET, "us-east-1", "pods-key", "pods-secret"))
    try:
        wait(lambda: _has_bucket(made), f"SeaweedFS at {url}", directory / "out.log")
        yield made
    finally:
        process.kill()
        process.wait()


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


def _has_bucket(target: ObjectStore) -> bool:
    try:
        target.ensure_bucket()
    except Exception:  # noqa: BLE001 - whatever a server that is not up yet says
        return False
    return True
