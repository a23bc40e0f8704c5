"""A real Ray head node with Serve, a bucket with real weights, and deployments to roll out there."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from slipway.catalog import Deployment, Engine, ResolvedArtifact, ResolvedDeployment
from slipway.dataplane.protocol import Progress
from slipway.dataplane.ray.ray_serve import RayServe, lock_path
from slipway.dataplane.ray.serve_api import ServeApi
from slipway.environment import S3Location
from slipway.objectstore import ObjectStore
from slipway.records.revisions import RevisionStore
from slipway.stack import ray_head
from slipway.stack.ports import free_ports
from slipway.stack.standin_hub import demo
from testbed import stores
from testbed.server_processes import wait_until_answered
from testbed.weights import COMMIT, publish_file

TOKEN = "a-token-of-the-tests-0123456789abcdef"


@pytest.fixture(scope="session")
def node_store(seaweed: S3Location) -> ObjectStore:
    """The bucket that engines of this node read: the demo's model and adapter, published."""
    return stores.with_bucket(seaweed, "dataplane")


@pytest.fixture(scope="session")
def weights(node_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
    """The store once the weights are in it."""
    publish_file(node_store, "smollm2", demo.demo_model_file())
    publish_file(node_store, "formal", demo.demo_adapter_file(tmp_path_factory.mktemp("adapter")))
    return node_store


@pytest.fixture(scope="module")  # it costs CPU even when idle, so it is stopped when its tests end
def ray(node_store: ObjectStore) -> Iterator[ServeApi]:
    """A Ray head with 2 CPUs whose Serve has not been configured by anyone yet."""
    with tempfile.TemporaryDirectory(prefix="slipway-t-", dir="/tmp", ignore_cleanup_errors=True) as home:
        root = Path(home)
        ports = ray_head.RayPorts(*free_ports(7))
        environment = ray_head.environment(node_store.location, root / "cache", root / "home", TOKEN)
        with (root / "ray.log").open("wb") as log:
            process = subprocess.Popen(
                ray_head.command(root / "r", ports),
                env={**os.environ, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        dashboard = f"http://127.0.0.1:{ports.dashboard}"
        try:
            wait_until_answered(f"{dashboard}/api/gcs_healthz", root / "ray.log", by=process)
            yield ServeApi(dashboard, f"http://127.0.0.1:{free_ports(1)[0]}", TOKEN)
        finally:
            _stop(process, root)
            lock_path(dashboard).unlink(missing_ok=True)


def _stop(process: subprocess.Popen[bytes], root: Path) -> None:
    """Kill the tree, and what left it: Ray's workers name their session directory in their command line."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()
    for other in psutil.process_iter(["environ"]):
        if (other.info["environ"] or {}).get("SLIPWAY_HOME") == str(root / "home"):
            with contextlib.suppress(psutil.NoSuchProcess):
                other.kill()


@pytest.fixture(scope="module")
def plane(ray: ServeApi, weights: ObjectStore) -> RayServe:
    """The Ray node as a data plane, its weights in place."""
    return RayServe(ray)


@pytest.fixture(scope="session")
def revisions(node_store: ObjectStore) -> RevisionStore:
    return RevisionStore(node_store)


@dataclass
class RunLog:
    """Collects progress, as a Dagster run log would."""

    lines: list[Progress] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        self.lines.append(progress)
        print(time.strftime("%X"), progress)  # pytest shows it when the test fails


@pytest.fixture
def run_log() -> RunLog:
    return RunLog()


def resolved(name: str, **fields: Any) -> ResolvedDeployment:
    """A deployment of the demo model; it takes half a CPU unless `resources` says otherwise."""
    adapters = fields.pop("adapters", ())
    fields.setdefault("args", ("--ctx-size=1024", "--parallel=2"))
    fields.setdefault("resources", {"requests": {"cpu": "500m"}})
    deployment = Deployment(
        name=name,
        model="smollm2",
        adapters=adapters,
        runtime="ray",
        engine="llama",
        **fields,
    )
    return ResolvedDeployment(
        deployment=deployment,
        engine=Engine(name="llama", server="llama.cpp"),
        model=ResolvedArtifact(name="smollm2", source="file:///test", commit=COMMIT),
        adapters=tuple(
            ResolvedArtifact(name="formal", source="file:///test", commit=COMMIT) for _ in adapters
        ),
    )
