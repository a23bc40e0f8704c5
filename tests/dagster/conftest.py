"""Catalogs to be deployed through Dagster, and worlds in which they are: nothing yet, or all that they say.

Belongs here: fixtures. Does not: how a world is ticked (ticking.py), the clusters behind it (fakes.py).
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from moto.server import ThreadedMotoServer

from .fakes import FakePlanes
from .ticking import World

ON_RAY = """
kind: Model
name: m
spec: {{source: "file://{weights}"}}
---
kind: Engine
name: e
spec: {{server: llama.cpp}}
---
kind: Deployment
name: chat
spec: {{model: m, runtime: ray, engine: e, args: [--ctx-size=2048], sharing: [acme], price: standard}}
---
kind: Organization
name: acme
---
kind: PriceBook
name: standard
spec:
  currency: EUR
  prices: [{{effective_from: 2026-01-01T00:00:00Z, input: "0.1", cached_input: "0.1", output: "0.4"}}]
"""
ON_KUBERNETES = """
kind: Model
name: m
spec: {{source: "file://{weights}"}}
---
kind: Engine
name: e
spec: {{server: vllm, images: {{cpu: {{image: registry.example/e, digest: "sha256:{digest}"}}}}}}
---
kind: Deployment
name: chat
spec: {{model: m, runtime: vllm, engine: e}}
---
kind: Endpoint
name: public
spec: {{host: api.example.com}}
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A real S3 API in memory."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def planes(monkeypatch: pytest.MonkeyPatch) -> FakePlanes:
    """The clusters that every client of this process is connected to, and what probes find there."""
    planes = FakePlanes()
    monkeypatch.setattr("slipway.dataplane.planes.connected.connected", lambda *_, **__: planes)
    monkeypatch.setattr("slipway.dataplane.validation.validation.validate", planes.validate)
    return planes


def world_of(
    catalog: str, tmp_path: Path, s3: str, planes: FakePlanes, instance: dg.DagsterInstance
) -> World:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    (tmp_path / "catalog").mkdir()
    text = catalog.format(weights=tmp_path / "weights", digest="a" * 64)
    (tmp_path / "catalog" / "catalog.yaml").write_text(text)
    variables = {
        "SLIPWAY_HOME": str(tmp_path / "home"),
        "SLIPWAY_S3_ENDPOINT": s3,
        "SLIPWAY_S3_BUCKET": f"t-{uuid.uuid4().hex[:12]}",
        "SLIPWAY_S3_ACCESS_KEY": "test",
        "SLIPWAY_S3_SECRET_KEY": "test",
        "SLIPWAY_GATEWAY_TOKEN": "test",
    }
    (tmp_path / "home").mkdir()
    world = World(tmp_path / "catalog", instance, variables, planes)
    world.store.ensure_bucket()
    return world


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def bare(tmp_path: Path, s3: str, planes: FakePlanes, instance: dg.DagsterInstance) -> World:
    """A catalog for plain Ray of which nothing was ever deployed."""
    return world_of(ON_RAY, tmp_path, s3, planes, instance)


@pytest.fixture
def world(bare: World) -> World:
    """The same when all of it serves."""
    bare.until_quiet()
    return bare


@pytest.fixture
def on_kubernetes(tmp_path: Path, s3: str, planes: FakePlanes, instance: dg.DagsterInstance) -> World:
    """A catalog for Kubernetes with an endpoint, all of which serves."""
    world = world_of(ON_KUBERNETES, tmp_path, s3, planes, instance)
    world.until_quiet()
    return world
